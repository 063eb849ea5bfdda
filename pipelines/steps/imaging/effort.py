"""What an imaging job will do: its strategies, where it starts, and how much it spends."""

from __future__ import annotations

from dataclasses import dataclass

from domains.errors import InputError
from models.imaging.strategies import FROZEN, STRATEGIES
from pipelines.settings import ImagingConfig

IMAGENET = frozenset({"efficientnet-lite0"})
"""Backbones whose ImageNet weights can be fetched, as `models.imaging.weights` says."""


@dataclass(frozen=True)
class Effort:
    """What a scale spends.

    Attributes:
        images: At most so many target images; None for all.
        source_images: The same for the source task.
        source_epochs: Epochs of the source task.
        source_starts: What its base starts from; with several, validation chooses.
        auto: Strategies that `auto` tries after transfer, as far as the time budget goes.
        epochs: Epochs of a strategy that trains the base.
        patience: Epochs without improvement before stopping.
        blocks: Blocks of the base that `partial` trains, and a source task; None for the
            strategy's own number, and all in a source task.
        scratch: Whether the same net trained from random weights is a control.
        image_size: Largest side; None for no limit.
        repeats: Bootstrap resamples.
    """

    images: int | None
    source_images: int | None
    source_epochs: int
    source_starts: tuple[str, ...]
    auto: tuple[str, ...]
    epochs: int
    patience: int
    blocks: int | None
    scratch: bool
    image_size: int | None
    repeats: int


_ALL = ("partial", "lp-ft", "finetune")
EFFORTS = {
    "tiny": Effort(240, 120, 1, ("pretrained",), ("partial",), 2, 2, 4, False, 32, 50),
    "small": Effort(None, None, 1, ("pretrained",), ("partial",), 3, 3, 8, False, None, 200),
    "full": Effort(None, None, 12, ("pretrained", "scratch"), _ALL, 15, 4, None, True, None, 500),
}


def strategies(config: ImagingConfig) -> tuple[str, ...]:
    """The strategies asked for, the simplest first.

    Raises:
        InputError: A frozen base is asked of a backbone that has no weights to transfer.
    """
    asked = [config.strategy] if isinstance(config.strategy, str) else config.strategy
    starts = starts_somewhere(config)
    if "auto" in asked:
        return ("transfer", *EFFORTS[config.scale].auto) if starts else ("finetune",)
    chosen = tuple(name for name in STRATEGIES if name in asked)
    needing = [name for name in chosen if name != "finetune"]
    if not starts and needing:
        raise InputError(
            f"strategy: {needing[0]} from {config.backbone} needs weights, and none are within "
            "reach; give weights: (a file), base: (a registered model) or source: (a task to train "
            "a base on)"
        )
    return chosen


def trains(config: ImagingConfig) -> tuple[str, ...]:
    """The strategies that change the base."""
    return tuple(name for name in strategies(config) if name not in FROZEN)


def pretrained(config: ImagingConfig) -> str | None:
    """Where the base's first weights come from: `base`, `weights`, `imagenet`, or None."""
    if config.base is not None:
        return "base"
    if config.weights is not None:
        return "weights"
    return "imagenet" if config.backbone in IMAGENET else None


def has_source(config: ImagingConfig) -> bool:
    """Whether a source task is trained; lidc brings its own, unless a base is given."""
    if config.source is not None:
        return True
    return config.data.kind == "builtin" and config.base is None


def starts_somewhere(config: ImagingConfig) -> bool:
    """Whether there are weights to start from other than random ones."""
    return pretrained(config) is not None or has_source(config)


def wants_controls(config: ImagingConfig) -> bool:
    """Whether controls are trained: always, unless the file says none.

    No arm of this flow is differentially private, so that a control reveals no more than they do.
    """
    return config.controls != "none"
