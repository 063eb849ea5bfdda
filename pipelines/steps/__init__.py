"""The stages of each flow; the flows themselves are one folder up."""
