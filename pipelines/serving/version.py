"""The version that serves, with what a request needs to know about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from domains.healthcare.images.pixels import Reading
from models.intake import Field
from pipelines.acting import now
from pipelines.governance.versions import Loaded


@dataclass(frozen=True, eq=False)
class Version:
    """A loaded version.

    Attributes:
        loaded: Name, version and scorer.
        since: When it began to serve, UTC.
    """

    loaded: Loaded
    since: str = field(default_factory=now)

    @property
    def name(self) -> str:
        """Registered name of the model."""
        return self.loaded.name

    @property
    def number(self) -> str:
        """The version."""
        return self.loaded.version

    @property
    def kind(self) -> str:
        """`imaging`, `patients` or `credit`."""
        return self.loaded.kind

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """Columns it needs; none where it takes images."""
        return self.loaded.scorer.fields

    @cached_property
    def columns(self) -> frozenset[str]:
        """Their names."""
        return frozenset(field.name for field in self.fields)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of what it predicts."""
        return self.loaded.scorer.outputs

    @property
    def images(self) -> bool:
        """Whether it takes images instead of records."""
        return self.kind == "imaging"

    @property
    def explains(self) -> bool:
        """Whether it gives reason codes."""
        return hasattr(self.loaded.scorer, "reasons")

    @property
    def reading(self) -> Reading:
        """How it makes images of files."""
        scorer: Any = self.loaded.scorer
        return cast(Reading, scorer.reading)

    @property
    def image_size(self) -> int:
        """Side of the images it takes."""
        scorer: Any = self.loaded.scorer
        return int(scorer.image_size)
