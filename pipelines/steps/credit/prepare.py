"""Loans read, checked, split and encoded, and written down for the stages that follow."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from domains import durable
from domains.banking.cells import typed
from domains.banking.credit import PARTS, Loans, describe_features, read_loans
from domains.banking.features import Categorical, Feature, Numeric, Untyped, check_numbers
from domains.dataset import Dataset
from domains.splits import split_key
from models.credit_encoding import Coding, Encoder
from models.federated import Client
from models.scorecard import ROW_NORM, check_monotone
from pipelines.governance import seen
from pipelines.progress import say
from pipelines.settings import CreditConfig, home_key
from pipelines.stages import stage
from pipelines.steps.credit.brought import check_file
from pipelines.steps.credit.charge import (
    Charged,
    before_noise,
    make_schedule,
    may_release,
    nothing_released,
)
from pipelines.steps.credit.columns import as_typed, elect
from pipelines.steps.credit.public_facts import dataset_of, faint, split_of
from pipelines.tracking import Job, log_data
from privacy.preprocessing import merge, noised_summary

_ARRAYS = ("y", "client", "group", "record", "part", "later")  # of `Loans`, beside its frame
_ROWS = 1 << 15
_FRAME, _FACTS, _CODES, _ENCODER = "frame.parquet", "facts.parquet", "codes.npy", "encoder.json"


@dataclass(frozen=True)
class Prepared:
    """Loans on disk, ready for training.

    Attributes:
        folder: Holds the frame, facts about each record, codes and the encoder.
        charged: What may be done with them.
        dataset: What they are.
        split: Part → records and groups; without leave to tell that, the public number alone.
    """

    folder: Path
    charged: Charged
    dataset: Dataset
    split: dict[str, dict[str, int]]

    @property
    def frame(self) -> pd.DataFrame:
        """Raw and derived columns of every record."""
        return pd.read_parquet(self.folder / _FRAME)

    @property
    def facts(self) -> pd.DataFrame:
        """`y`, `client`, `group`, `record`, `part` and `later` of every record."""
        return pd.read_parquet(self.folder / _FACTS)

    @property
    def codes(self) -> np.ndarray:
        """Encoded records, (n, width) float32, mapped from disk; changes reach no file."""
        codes: np.ndarray = np.load(self.folder / _CODES, mmap_mode="c")
        return codes

    @property
    def encoder(self) -> Encoder:
        """From raw columns to codes."""
        return Encoder.load(self.folder / _ENCODER)

    @property
    def sizes(self) -> dict[str, int]:
        """Clients and their public numbers of records, largest first."""
        return self.charged.census.sizes

    def clients(self, rows: np.ndarray, sizes: Mapping[str, int] | None = None) -> list[Client]:
        """Every client's share of the given training records, as tensors.

        A client's records stand together, so that its features are a slice of the mapped codes
        where `rows` leaves no gap among them, as the training records do.

        Args:
            rows: Which records, (n,) bool.
            sizes: Public number of records of each client that takes part; default `sizes`.
        """
        facts, codes = self.facts, torch.from_numpy(self.codes)
        chosen = np.flatnonzero(rows)
        y, holders = facts["y"].to_numpy()[chosen], facts["client"].to_numpy()[chosen]
        places = pd.Series(chosen).groupby(holders, sort=False).indices
        made = []
        for name, size in (self.sizes if sizes is None else sizes).items():
            mine = places.get(name, np.zeros(0, dtype=np.int64))
            features, target = _taken(codes, chosen[mine]), torch.from_numpy(y[mine])
            made.append(Client(name, features, target, PARTS["train"] * size))
        return made


@stage()
def prepare(job: Job, charged: Charged) -> Prepared:
    """Read the charged loans, check and split them, and encode them.

    Types, bins and value lists that are not public come from noised counts of each client's
    training records, under the plan's own ε. A mistake in the file gives the charge back; from the
    first noised count on the charge stands.

    A process that takes the run up reads the file that was charged for, or none. Later stages read
    what this one has written down.

    That a file is refused, and why, is not covered by ε: one infinite field or one loan of unknown
    outcome among the training records ends the job, and whoever runs it, who has the file, is told.
    Nothing was noised or released then, and no version, metric or report comes of such a run.
    """
    with nothing_released(job, charged):
        check_file(job, charged.table)
        loans = _by_client(_read(job, charged))
        check_file(job, charged.table)  # nor was it exchanged meanwhile
        features = describe_features(charged.table, loans.frame)
        known = [each for each in features if not isinstance(each, Untyped)]
        if charged.table.public:
            check_numbers(loans.frame, known)
        check_monotone(known, job.config.monotone)
    folder = job.folder / "loans"
    folder.mkdir(exist_ok=True)
    encoder = _encoder(job, charged, loans, features)
    loans = as_typed(charged, loans, encoder.features)
    for told in faint(charged):
        say(told)
    dataset = dataset_of(charged, loans, encoder.features)
    log_data(job, dataset)
    seen.remember(job, dataset.name, loans.part, loans.record, loans.group)
    loans.frame.to_parquet(folder / _FRAME)
    _facts(loans).to_parquet(folder / _FACTS)
    _write_codes(folder / _CODES, encoder, loans.frame)
    return Prepared(folder, charged, dataset, split_of(loans, charged, may_release(job.config)))


def prepared_for(job: Job, prepared: Prepared, config: CreditConfig) -> Prepared:
    """The same loans and bins, coded and scheduled for another model; nobody is charged for that.

    Args:
        job: The job.
        prepared: As the configured model takes them.
        config: What the other model trains with.
    """
    folder = job.folder / f"loans-{config.model}"
    folder.mkdir(exist_ok=True)
    for name in (_FRAME, _FACTS):
        shutil.copyfile(prepared.folder / name, folder / name)
    encoder = replace(prepared.encoder, coding=_coding(config))
    encoder.save(folder / _ENCODER)
    np.save(folder / _CODES, encoder.encode(prepared.frame))
    charged = prepared.charged
    schedule = make_schedule(config, charged.table, charged.census)
    return replace(prepared, folder=folder, charged=replace(charged, schedule=schedule))


def _coding(config: CreditConfig) -> Coding:
    if config.model == "scorecard":
        return Coding(config.codes, balanced=True, norm=ROW_NORM)
    return Coding(config.codes)


def _encoder(
    job: Job, charged: Charged, loans: Loans, features: Sequence[Feature | Untyped]
) -> Encoder:
    """The encoder, on disk as soon as its counts are noised: an earlier process's serves."""
    path = job.folder / "loans" / _ENCODER
    if not path.exists():
        before_noise(job, charged)
        complete = _complete(job, charged, loans, features)
        made = Encoder(complete, charged.table.derived, _coding(job.config))
        with durable.replacing(path) as part:
            made.save(part)
    return Encoder.load(path)


def key_of(charged: Charged, seed: int) -> bytes:
    """Key of the split: the seed's for public data, this installation's secret for private data."""
    return split_key(seed, None if charged.table.public else home_key())


def _read(job: Job, charged: Charged) -> Loans:
    return read_loans(charged.table, charged.census, key_of(charged, job.config.seed))


def _by_client(loans: Loans) -> Loans:
    """Training records first, client by client, the later ones of each last."""
    client = pd.factorize(loans.client, sort=True)[0]
    order = np.lexsort((loans.later, client, loans.part != "train"))
    frame = loans.frame.iloc[order].reset_index(drop=True)
    arrays = {name: getattr(loans, name)[order] for name in _ARRAYS}
    return replace(loans, frame=frame, **arrays)


def _write_codes(path: Path, encoder: Encoder, frame: pd.DataFrame) -> None:
    """Encode in pieces, so that the codes need no room in memory."""
    shape = (len(frame), encoder.width)
    codes = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    for start in range(0, len(frame), _ROWS):
        codes[start : start + _ROWS] = encoder.encode(frame.iloc[start : start + _ROWS])
    codes.flush()


def _taken(codes: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    """Rows in ascending order: a slice where none is missing between them, else a copy."""
    if not len(rows):
        return codes[:0]
    first, last = int(rows[0]), int(rows[-1])
    whole = last - first + 1 == len(rows)
    return codes[first : last + 1] if whole else codes[torch.from_numpy(rows)]


def _complete(
    job: Job, charged: Charged, loans: Loans, features: Sequence[Feature | Untyped]
) -> tuple[Feature, ...]:
    """The features with types, bins and values for every column that brought none."""
    if not any(map(_open, features)):
        return tuple(each for each in features if not isinstance(each, Untyped))
    train = loans.part == "train"
    owned = [loans.frame[train & (loans.client == name)] for name in charged.census.sizes]
    known = elect(charged, owned, features)
    if not charged.table.public:
        owned = [typed(frame, known) for frame in owned]
    numeric = [f.column for f in known if isinstance(f, Numeric) and f.edges is None]
    listed = [f.column for f in known if isinstance(f, Categorical) and f.values is None]
    voted = any(isinstance(each, Untyped) for each in features)
    summaries = [noised_summary(each, numeric, listed, charged.plan, voted) for each in owned]
    columns = merge(summaries, bins=job.config.bins)
    return tuple(_filled(feature, columns.edges, columns.categories) for feature in known)


def _open(feature: Feature | Untyped) -> bool:
    """Whether the records must say something about it."""
    if isinstance(feature, Untyped):
        return True
    return (feature.edges if isinstance(feature, Numeric) else feature.values) is None


def _filled(
    feature: Feature, edges: dict[str, np.ndarray], values: dict[str, tuple[str, ...]]
) -> Feature:
    if isinstance(feature, Numeric) and feature.edges is None:
        return replace(feature, edges=tuple(float(edge) for edge in edges[feature.column]))
    if isinstance(feature, Categorical) and feature.values is None:
        return replace(feature, values=values[feature.column])
    return feature


def _facts(loans: Loans) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "y": loans.y,
            "client": loans.client,
            "group": loans.group,
            "record": loans.record,
            "part": loans.part,
            "later": loans.later,
        }
    )
