"""Ways to make one loss of many: one file each, named in `models.multitask.named`."""
