"""Trainings that are killed: after a save, or in the middle of the work that follows it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from models.checkpoint import Checkpoint

T = TypeVar("T")


class Killed(BaseException):
    """The end of a process, as far as a test can have one."""


class Fatal(Checkpoint):
    """Saves whenever it may, and is killed right after some save.

    Args:
        path: The file.
        saves: After how many; None: never.
    """

    def __init__(self, path: Path, saves: list[int | None], belongs: str = "") -> None:
        super().__init__(path, pause=0.0, belongs=belongs)
        self._left = saves

    def of(self, *said: object) -> Checkpoint:
        return Fatal(self.path, self._left, super().of(*said)._belongs)

    def part(self, number: int) -> Checkpoint:
        return Fatal(super().part(number).path, self._left, self._belongs)

    def save(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        super().save(tensors, facts)
        if self._left[0] is not None:
            self._left[0] -= 1
            if self._left[0] == 0:
                raise Killed


def kills(training: Callable[[Checkpoint], T], folder: Path, most: int = 100) -> list[T]:
    """What a training ends in when it is killed after its first save, its second, and so on.

    Each is resumed with torch's generator somewhere else, as it is in another process.
    """
    ends = []
    for saves in range(1, most):
        path = folder / f"{saves}.safetensors"
        try:
            training(Fatal(path, [saves]))
        except Killed:
            torch.manual_seed(4321)
            ends.append(training(Fatal(path, [None])))
        else:
            return ends
    raise AssertionError(f"still killed after {most} saves")


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether two states are equal bit by bit."""
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@contextmanager
def killed_after(saves: int) -> Iterator[None]:
    """Within it every checkpoint is saved as often as it may be, and the last save kills."""
    save, left = Checkpoint.save, [saves]

    def fatal(self: Checkpoint, *said: Any) -> None:
        save(self, *said)
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "save", fatal)
        patch.setattr(Checkpoint, "due", lambda _: True)
        yield


def in_spite_of_kills(work: Callable[[], T], every: int) -> tuple[T, int]:
    """What work ends in that is killed at every so many saves and begun again; and how often."""
    for kills in range(1000):
        try:
            with killed_after(every):
                return work(), kills
        except Killed:
            torch.manual_seed(kills)
    raise AssertionError("it never ends")
