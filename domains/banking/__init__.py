"""Loans, lenders and protected groups."""
