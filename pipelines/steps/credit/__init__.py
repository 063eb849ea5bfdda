"""Stages of the credit flow."""
