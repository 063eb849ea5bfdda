"""Ways in which outcomes share one network: one file each, named in `models.multitask.named`."""
