"""Scoring files: one output row an input row, piece by piece, and resumed where it was cut short.

A source (`tables`, `images`) yields pieces of rows; each scored piece is kept as a part in a
working folder beside the output (`workspace`); when all are there they become the output and the
list of rejected rows under their final names (`output`). `batch` puts these together, `record`
tells MLflow and the log of acts, `inbox` finds what a schedule has to score.
"""
