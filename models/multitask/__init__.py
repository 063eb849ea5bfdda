"""Several outcomes from one record: a shared trunk, one head an outcome."""
