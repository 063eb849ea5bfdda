"""What a network of many outcomes is built from: widths, heads, and the kind of its trunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Shape:
    """A network but for its weights.

    Attributes:
        inputs: Width of the encoded features.
        sizes: Outputs of each outcome's head.
        hidden: Width of each hidden layer.
        trunk: A name of `models.multitask.trunk.TRUNKS`.
        members: Members of the ensemble that the trunk is; 1 for `mlp`.
        numbers: Places, among the inputs, of numbers on a standard normal scale.
        settings: What its way of sharing alone takes.
        proportional: Outcomes whose hazards are proportional to a baseline.
        groups: Outcomes that share with each other, where groups of them do.
    """

    inputs: int
    sizes: Mapping[str, int]
    hidden: int
    trunk: str = "mlp"
    members: int = 1
    numbers: tuple[int, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)
    proportional: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()

    def of(self, outcomes: tuple[str, ...]) -> Shape:
        """The same network for some of the outcomes."""
        return replace(self, sizes={name: self.sizes[name] for name in outcomes})

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Shape:
        """Inverse of `to_json`."""
        made: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        made["groups"] = tuple(tuple(group) for group in made.get("groups", ()))
        return cls(**made)
