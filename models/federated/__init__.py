"""Clients train at home; only updates travel."""
