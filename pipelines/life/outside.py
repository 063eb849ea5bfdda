"""Ends that come from the machine and from servers, and say nothing about the job they struck."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator

from mlflow.exceptions import MlflowException

from pipelines.life.flow_runs import told_to_end

_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENFILE})
_SAID = os.strerror(errno.ENOSPC)


def outside(error: BaseException) -> str | None:
    """What stopped the work if it was no fault of the work; None otherwise.

    A full or read-only disk, a database that cannot be written, an MLflow server that is gone, a
    word to the process to end. The reason is in words of our own or the system's: nothing that a
    record could be in.
    """
    if told_to_end(error):
        return "the process was told to end"
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno in _PASSING:
            return os.strerror(each.errno)
        if _SAID in str(each):  # libraries in C and Rust have error types of their own
            return _SAID
        if isinstance(each, sqlite3.OperationalError):
            return "a database cannot be written"
        if isinstance(each, MlflowException) and "API request to" in str(each):
            return "the MLflow server does not answer"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
