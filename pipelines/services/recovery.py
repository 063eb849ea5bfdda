"""Runs whose process is gone: Prefect is told, and the jobs are resumed."""

from __future__ import annotations


class Recovery:
    """What the supervisor does about crashed runs, a little each round."""

    def step(self) -> None:
        """Look, and act."""
