"""The four learning strategies, and what it takes to train, calibrate and serve them."""
