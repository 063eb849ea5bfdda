"""Stages of the imaging flow."""
