"""One model for many outcomes: what they share, their heads, and how they learn.

A way of sharing is one file with one class of one signature, and one line here.
"""

from models.multitask.hard import Hard
from models.multitask.none import Separate

SHARING: dict[str, type[Hard] | type[Separate]] = {"none": Separate, "hard": Hard}
"""Ways of sharing by the names used in configurations."""
