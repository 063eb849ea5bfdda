"""How large a credit job's trees are: what its configuration says, or what its noise allows."""

from __future__ import annotations

from torch import nn

from domains.banking.credit import PARTS
from models.trees import Size, Trees, fitting
from pipelines.settings import CreditConfig
from pipelines.steps.credit.charge import Charged
from pipelines.steps.credit.strategy import terms_of
from privacy.plan import Schedule


def size_of(config: CreditConfig, charged: Charged, schedule: Schedule, features: int) -> Size:
    """Depth and features of each tree, by public numbers alone.

    Args:
        config: Numbers in `trees` stand; `auto` is `models.trees.size`.
        charged: Whose loans.
        schedule: What trains.
        features: That a record has: the codes of one, where trees take it.
    """
    sizes, asked = charged.census.sizes, config.trees
    drawn = terms_of(config).drawn(len(sizes))
    records = PARTS["train"] * sum(sizes.values()) * drawn / len(sizes)
    found = fitting(records, drawn, features, schedule)
    return Size(
        found.depth if asked.depth == "auto" else asked.depth,
        found.features if asked.features == "auto" else asked.features,
    )


def sized(config: CreditConfig, size: Size) -> CreditConfig:
    """The same job with trees of this size."""
    return config.model_copy(update={"trees": config.trees.model_copy(update=vars(size))})


def grown(model: nn.Module) -> str:
    """What trees were, for the report; empty for another model."""
    if not isinstance(model, Trees):
        return ""
    trees, depth = model.feature.shape
    return f"{trees} trees of depth {depth}, {_asked(model)} feature(s) each"


def _asked(model: Trees) -> int:
    """Different features that one tree asks about, at most."""
    return max(len(set(tree)) for tree in model.feature.tolist())
