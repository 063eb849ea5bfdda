"""Medical images and patients' records."""
