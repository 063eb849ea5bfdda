"""What the data and the outcomes mean: sources, readers, splits, metrics."""
