"""A labelled file for recalibrating a version: read and split as its training did its loans.

Which of its records may be looked at is what the split says of them anyway. Private ones are fitted
on the side of the calibration and tested on the side of the test, which never train, in whatever
file they come; the rest is left alone. Of public ones those that the version was not trained with
are fitted on too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from domains.banking import sba
from domains.banking.cells import typed
from domains.banking.census import LoanTable, take_census
from domains.banking.credit import Loans, read_loans
from domains.banking.groups import Groups, classes, large_enough
from domains.dataset import Dataset, digest_file
from domains.errors import InputError, Refused
from domains.splits import split_key
from domains.tables import column_names
from models.credit_encoding import Encoder
from pipelines.governance import handed_on
from pipelines.settings import CreditConfig, home_key
from pipelines.steps.credit.columns import declared

FIT, TEST, UNUSED = "calibration", "test", "left out"
_FEWEST, _EACH = 200, 20
"""Records that fit and test need each, and of either outcome."""


@dataclass(frozen=True)
class Labelled:
    """Loans of known outcome.

    Attributes:
        table: Where they are.
        loans: All of them, their features typed.
        role: `calibration`, `test` or `left out` of each, (n,).
        digest: Of the file, keyed where it is private.
    """

    table: LoanTable
    loans: Loans
    role: np.ndarray
    digest: str

    def rows(self, role: str) -> np.ndarray:
        """Positions of the records of a role."""
        return np.flatnonzero(self.role == role)

    def dataset(self) -> Dataset:
        """The file as a run names it."""
        used = int((self.role != UNUSED).sum())
        kinds = tuple((str(name), "") for name in self.loans.frame.columns)
        unit = "borrower" if self.table.borrower else "row"
        told = "as its owner states", "a file of the user's own"
        table = self.table
        return Dataset(table.name, table.path, self.digest, used, kinds, table.public, unit, *told)

    def groups(self, config: CreditConfig) -> list[Groups]:
        """Protected columns that the file has, over the test records."""
        rows, frame, made = np.flatnonzero(self.role != UNUSED), self.loans.frame, []
        tested = self.role[rows] == TEST
        for column in self.table.protected:
            found = classes(
                frame[column].iloc[rows],
                ~tested,
                self.table.bounds.get(column, ()),
                declared(self.table, column),
                rounded=not self.table.public,
            )
            hidden = not self.table.public
            told = large_enough(column, found, tested, config.fairness.least, hidden)
            made.append(Groups(column, told.names, told.code[tested], told.small))
        return made


def is_public(config: CreditConfig, said: bool) -> bool:
    """Whether a file's records are public: somebody says so, or the data they belong to are."""
    return said or (config.data.path is not None and config.data.public)


def read_labelled(
    path: Path, config: CreditConfig, encoder: Encoder, trained: str, public: bool
) -> Labelled:
    """Read, check and split a file.

    Args:
        path: CSV or Parquet with the columns of the training data.
        config: That the version was trained with.
        encoder: Names the columns that the model needs.
        trained: The run that trained it.
        public: Whether the records may be used by anybody.

    Raises:
        Refused: They are private, and may not be looked at, or not told from those that trained.
        InputError: A column is missing, an outcome is not known, or there are too few records.
    """
    _check_may_be_read(path, config, trained, public)
    there = column_names(path)
    if lacking := [name for name in encoder.columns if name not in there]:
        raise InputError(
            f"{path}: no column {lacking[0]!r}, which the model needs; it has {', '.join(there)}"
        )
    table = _table(path, config, encoder, public, {*there})
    key = split_key(config.seed, None if public and _trained_on_public(config) else home_key())
    loans = read_loans(table, take_census(table), key)
    if not public:
        own = [each for each in encoder.features if each.column in loans.frame]
        loans = Loans(**{**vars(loans), "frame": typed(loans.frame, own)})
    digest = digest_file(path, None if public else home_key())
    made = Labelled(table, loans, _roles(loans, trained, public), digest)
    for role in (FIT, TEST):
        _check_enough(path, role, loans.y[made.rows(role)])
    return made


def _trained_on_public(config: CreditConfig) -> bool:
    return config.data.path is None or config.data.public


def _check_may_be_read(path: Path, config: CreditConfig, trained: str, public: bool) -> None:
    if not _trained_on_public(config) and not handed_on.kept(trained):
        raise Refused(
            f"{path}: which of its records trained is known by the key of another home, where the "
            "version was trained; recalibrate there, or by --rate"
        )
    why = None
    if config.release != "metrics":
        why = "their owners have not allowed release: metrics"
    elif config.data.id is None:
        why = "without data.id nobody can tell which of them trained"
    if why and not public:
        raise Refused(
            f"{path}: its records are private, and {why}; recalibrate by --rate, or say --public"
        )


def _table(
    path: Path, config: CreditConfig, encoder: Encoder, public: bool, there: set[str]
) -> LoanTable:
    builtin, target = config.data.path is None, config.target
    other = target.negative if target else None
    negative = other if isinstance(other, list) else [] if other is None else [other]
    return LoanTable(
        name=config.data.name or path.name.partition(".")[0],
        path=path,
        public=public,
        target=target.column if target else sba.TARGET,
        positive=target.positive if target else sba.POSITIVE,
        negative=tuple(negative),
        parts=1,
        borrower=config.data.id or (sba.BORROWER if builtin else None),
        record=sba.LOAN if builtin else None,
        incomplete=builtin,
        protected=tuple(name for name in dict.fromkeys(config.protected) if name in there),
        derived=encoder.derived,
        features=encoder.features,
        bounds=_of(config.bounds, there),
        categories=_of(config.categories, there),
        types=_of(config.data.types, there),
    )


def _of(declarations: dict[str, Any], columns: set[str]) -> dict[str, Any]:
    return {name: value for name, value in declarations.items() if name in columns}


def _roles(loans: Loans, trained: str, public: bool) -> np.ndarray:
    fit = loans.part == "calibration"
    if public and (known := handed_on.trained(trained, loans.record, loans.group)) is not None:
        fit |= (loans.part == "train") & ~known
    return np.select([fit, loans.part == "test"], [FIT, TEST], UNUSED).astype(object)


def _check_enough(path: Path, role: str, y: np.ndarray) -> None:
    rarer = int(min(y.sum(), (1 - y).sum()))
    if len(y) < _FEWEST or rarer < _EACH:
        raise InputError(
            f"{path}: {len(y)} records are left for {role}, {rarer} of the rarer outcome; expected "
            f"{_FEWEST} and {_EACH}: bring more records that the version was not trained with, or "
            "recalibrate by --rate alone"
        )


def records_of(labelled: Labelled, columns: Sequence[str], role: str) -> pd.DataFrame:
    """Raw columns of the records of a role."""
    frame = labelled.loans.frame[list(columns)].iloc[labelled.rows(role)]
    return frame.reset_index(drop=True)
