"""Gradient-boosted trees across clients, private by noised leaves: only leaf sums see a record.

`size` says how many leaves, `structure` draws the splits, `leaves` holds the privacy statement and
what a client tells, `boosting` repeats it, `model` answers.
"""

from models.trees.boosting import Boosting, run
from models.trees.model import Trees, build, from_state
from models.trees.size import Size, fitting

__all__ = ["Boosting", "Size", "Trees", "build", "fitting", "from_state", "run"]
