"""Stages of the patients flow."""
