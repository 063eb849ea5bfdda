"""One model for many outcomes: what they share, their heads, and how they learn."""
