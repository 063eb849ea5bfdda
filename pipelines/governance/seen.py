"""Which versions saw a record: so that somebody who withdraws consent can be acted for.

Every training writes down the ids of its units (patient and image, patient and record, borrower
and loan) with the part each played, as keyed hashes: whoever has the file and not the home's key
can neither read an id nor test one. Scoring is logged without records, and so is not in here.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domains import durable
from domains.row_ids import plain_id
from pipelines.acting import now
from pipelines.governance import registry
from pipelines.settings import home, home_key
from pipelines.tracking import Job

BYTES = 16
UNUSED = frozenset({"left out", "excluded"})
"""Parts whose records take part in nothing."""
COVERS = (
    "Every training of this home, federated and private ones and source tasks included, whether "
    "its version is still there or not. Not covered: trainings in other homes, weights brought "
    "from elsewhere, records whose data name no id (of a patient, borrower or image), and what "
    "was scored: scoring is logged without records."
)
_KEY = pa.binary(BYTES)


@dataclass(frozen=True)
class Sight:
    """One training that saw at least one of the ids asked for.

    Attributes:
        model, pipeline, run_id, when: The training; `model` is the name it registers under.
        version, aliases: What came of it; None and none if nothing did, or it was deleted.
        epsilon: Privacy that the version was trained with; None without.
        data: Name of the data.
        part: `train`, `validation`, `calibration`, `test`, `source`, `external`, ….
        ids: Which of the ids asked for, numbered from 1 in the order they came.
    """

    model: str
    pipeline: str
    run_id: str
    when: str
    version: str | None
    aliases: list[str]
    epsilon: str | None
    data: str
    part: str
    ids: list[int]


def remember(job: Job, data: str, parts: Sequence[Any] | np.ndarray, *ids: Any) -> None:
    """Write down which units a job's records belong to; a second call adds to the first.

    Args:
        job: The job.
        data: Name of the data.
        parts: Part of each record, (n,).
        ids: Ids of each record's units, each (n,): its own, its patient's or borrower's.
    """
    names, codes = np.unique(np.asarray(parts, dtype=str), return_inverse=True)
    used = ~np.isin(codes, np.flatnonzero(np.isin(names, list(UNUSED))))
    keys = np.concatenate([keyed(np.asarray(each, dtype=object)[used]) for each in ids])
    rows = np.unique(_rows(keys, np.tile(codes[used], len(ids))))
    played = pa.array(names[rows["part"]].tolist(), pa.string())
    made = _table(rows["key"], played, pa.array([data] * len(rows), pa.string()), job)
    _add(job, made)


def inherit(job: Job, run_id: str) -> None:
    """Write down that a job has seen what another training saw, whose weights it starts from."""
    table = pq.read_table(_path(run_id))
    table = table.filter(_shaped(table))
    parts = pa.array(["source"] * len(table), pa.string())
    _add(job, _table(_keys(table), parts, table["data"].combine_chunks(), job))


def shared(run_id: str, ids: Sequence[Any] | np.ndarray) -> int | None:
    """How many of these ids the weights of a training come from: those that it or its source task
    learned from, or chose by. None where no record of that training is kept.
    """
    path = _path(run_id)
    if not path.exists():
        return None
    table = pq.read_table(path)
    return int(np.isin(keyed(ids), _keys(table.filter(_shaped(table)))).sum())


def _shaped(table: pa.Table) -> pa.ChunkedArray:
    """Which rows had a say in the weights, (n,) of bool: none that calibrated or tested them."""
    return pc.is_in(table["part"], pa.array(["train", "validation", "source"]))


def keyed(ids: Sequence[Any] | np.ndarray) -> np.ndarray:
    """HMAC-SHA256 of each id under the home's key, its first 16 bytes; (n,) of `V16`.

    Ids are compared as text without the blanks around it, and whole numbers by value: 7, 7.0, "7"
    and "007" are one, for a table may read as a number what somebody types with its zeros.
    """
    key = hmac.digest(home_key(), b"careledger seen", "sha256")
    made = [hmac.digest(key, plain_id(value).encode(), "sha256")[:BYTES] for value in ids]
    return np.frombuffer(b"".join(made), dtype=f"V{BYTES}")


def sights(ids: Sequence[str], data: str | None = None) -> list[Sight]:
    """The trainings that saw any of these ids, newest first.

    Args:
        ids: As they stand in the data.
        data: Only in data of this name.
    """
    wanted = keyed(ids)
    versions = _versions()
    found = [
        Sight(**about, **versions.get(about["run_id"], _NOTHING), data=name, part=part, ids=which)
        for about, name, part, which in _found(wanted)
        if data in (None, name)
    ]
    return sorted(found, key=lambda sight: sight.when, reverse=True)


def without_record() -> list[str]:
    """Versions of which this home has no record: trained elsewhere, or before records were kept."""
    return [
        f"{name}/{version}"
        for name, version, _ in registry.list_versions()
        if not _path(str(registry.get_version(name, version).run_id)).exists()
    ]


def tell(found: list[Sight], asked: int, unknown: list[str]) -> str:
    """The answer as text; ids are numbered, never repeated."""
    lines = [_line(sight, asked) for sight in found]
    if unknown:
        lines.append(
            f"Not known of {', '.join(unknown)}: no record was kept, they may have seen it."
        )
    if not found:
        what = "it" if asked == 1 else "any of them"
        lines.append(f"No {'other ' if unknown else ''}training of this home saw {what}.")
    lines.append(COVERS)
    return "\n".join(lines)


def answer(found: list[Sight], asked: int, unknown: list[str]) -> dict[str, Any]:
    """The answer as JSON values."""
    rows = [asdict(sight) for sight in found]
    return {"asked": asked, "seen": rows, "no_record": unknown, "covers": COVERS}


_NOTHING: dict[str, Any] = {"version": None, "aliases": [], "epsilon": None}


def _found(wanted: np.ndarray) -> Iterator[tuple[dict[str, Any], str, str, list[int]]]:
    for path in sorted((home() / "seen").glob("*.parquet")):
        table = pq.read_table(path)
        rows = np.isin(_keys(table), wanted)
        if not rows.any():
            continue
        meta = {k.decode(): v.decode() for k, v in table.schema.metadata.items()}
        about = {k: meta[k] for k in ("model", "pipeline", "when")} | {"run_id": path.stem}
        hits = table.filter(pa.array(rows))
        keys, places = (
            _keys(hits),
            zip(*(hits[c].to_pylist() for c in ("data", "part")), strict=True),
        )
        for place in sorted(set(spots := list(places))):
            mine = keys[[spot == place for spot in spots]]
            yield about, *place, (np.flatnonzero(np.isin(wanted, mine)) + 1).tolist()


def _table(keys: np.ndarray, parts: pa.Array, data: pa.Array, job: Job) -> pa.Table:
    buffers = [None, pa.py_buffer(keys.tobytes())]
    columns = [pa.FixedSizeBinaryArray.from_buffers(_KEY, len(keys), buffers), data, parts]
    about = {"model": job.name, "pipeline": job.pipeline, "when": now()}
    return pa.table(columns, ["key", "data", "part"], metadata=about)


def _add(job: Job, made: pa.Table) -> None:
    """Write rows beside those that a job has written before."""
    path = _path(job.run_id)
    if path.exists():
        made = pa.concat_tables([pq.read_table(path).cast(made.schema), made])
        made = made.group_by(made.column_names).aggregate([]).cast(made.schema)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with durable.replacing(path) as part:
        pq.write_table(made.sort_by([(name, "ascending") for name in made.column_names]), part)
        os.chmod(part, 0o600)


def _rows(keys: np.ndarray, parts: np.ndarray) -> np.ndarray:
    rows = np.empty(len(keys), dtype=[("key", keys.dtype), ("part", np.int64)])
    rows["key"], rows["part"] = keys, parts
    return rows


def _keys(table: pa.Table) -> np.ndarray:
    """The keys of a table, (n,) of 16 bytes each."""
    column = table["key"].combine_chunks()
    start = column.offset * BYTES
    raw = column.buffers()[1][start : start + len(column) * BYTES]
    return np.frombuffer(raw, dtype=f"V{BYTES}")


def _versions() -> dict[str, dict[str, Any]]:
    """Run → version, aliases and ε, of every registered version."""
    found = {}
    for name, version, aliases in registry.list_versions():
        known = registry.get_version(name, version)
        epsilon = known.tags.get("careledger.epsilon")
        found[str(known.run_id)] = {"version": version, "aliases": aliases, "epsilon": epsilon}
    return found


def _line(sight: Sight, asked: int) -> str:
    version = f"version {sight.version}" if sight.version else "no version left"
    held = f" ({', '.join(sight.aliases)})" if sight.aliases else ""
    private = f", trained with ε {sight.epsilon}" if sight.epsilon else ""
    which = f", ids {', '.join(map(str, sight.ids))}" if asked > 1 else ""
    return (
        f"{sight.model} {version}{held}: {sight.part} of {sight.data}, "
        f"{sight.when}, run {sight.run_id}{private}{which}"
    )


def _path(run_id: str) -> Path:
    return home() / "seen" / f"{run_id}.parquet"
