"""What an outcome is, read as a masked target, encoded and judged."""
