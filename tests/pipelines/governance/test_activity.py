"""The log of who scored what."""

from pathlib import Path

from pipelines.governance import activity


def test_acts_are_read_back_in_order_and_by_kind(home: Path) -> None:
    activity.note("score", model="m", version="1", rows=3)
    activity.note("serve", model="m", version="1", rows=1)
    assert [act["kind"] for act in activity.acts()] == ["score", "serve"]
    assert [act["rows"] for act in activity.acts("serve")] == [1]
    assert all(act["who"] and act["when"] for act in activity.acts())


def test_a_line_cut_short_hides_no_other(home: Path) -> None:
    activity.note("score", rows=1)
    with (home / "activity.jsonl").open("a") as stream:
        stream.write('{"kind": "sc\n')
    activity.note("score", rows=2)
    assert [act["rows"] for act in activity.acts()] == [1, 2]


def test_the_log_is_its_owners_alone(home: Path) -> None:
    activity.note("score", rows=1)
    assert (home / "activity.jsonl").stat().st_mode & 0o077 == 0
