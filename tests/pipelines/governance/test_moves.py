"""Moves form one chain, however many move at once, and wherever one of them stops."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from domains.errors import InputError, Refused
from pipelines.governance import chain, gate, promotion, registry
from pipelines.governance.moves import PREFIX, champion_of, made, moves, numbered, succession
from pipelines.tracking import client
from tests.pipelines.governance.sample_registry import NAME, register


@pytest.fixture(autouse=True)
def _at_home(home: Path) -> None:
    """Every test has a registry of its own."""


def test_a_move_made_while_judging_makes_the_version_be_judged_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one who judged by the old yardstick, stopped, and went on, does not win."""
    slow, quick = register(0.3), register(0.1)
    judged: list[str | None] = []
    judge = registry.judge

    def watched(name: str, version: str, *rest: Any) -> gate.Verdict:
        judged.append(registry.best_version(name))
        verdict = judge(name, version, *rest)
        if len(judged) == 1:
            promotion.settle(name, quick, lambda: gate.Verdict((), True), numbers=True)
        return verdict

    monkeypatch.setattr(promotion, "judge", watched)
    with suppress(Refused):
        promotion.promote(NAME, slow)
    assert judged == [None, quick]
    assert moves(NAME)[0].after == quick
    assert moves(NAME)[1].before == quick


def test_one_number_goes_to_one_writer() -> None:
    register(0.1)
    one, other = (made("promote", None, "1", [by], "1") for by in ("one", "other"))
    assert chain.write(NAME, 1, one)
    assert not chain.write(NAME, 1, other)
    assert chain.history(NAME) == {1: one}


def test_a_writer_that_lost_the_answer_and_asks_again_knows_its_own_move(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register(0.1)
    create = MlflowClient.create_experiment

    def twice(self: MlflowClient, *args: Any, **kwargs: Any) -> str:
        create(self, *args, **kwargs)
        return str(create(self, *args, **kwargs))

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_experiment", twice)
        assert chain.write(NAME, 1, made("promote", None, "1", [], "1"))


def test_a_move_whose_writer_died_is_carried_out_by_whoever_comes_next() -> None:
    register(0.1)
    assert chain.write(NAME, 1, made("promote", None, "1", [], "1"))
    assert moves(NAME) == []
    chain.carry_out(NAME)
    assert champion_of(moves(NAME)) == registry.champion(NAME) == "1"


def test_slots_of_moves_are_out_of_sight() -> None:
    promotion.promote(NAME, register(0.1))
    names = {found.name for found in client().search_experiments()}
    assert names == {"careledger-credit", "Default"}
    assert not Path("mlruns").exists()


def test_a_model_deleted_and_made_anew_starts_anew() -> None:
    promotion.promote(NAME, register(0.1))
    client().delete_registered_model(NAME)
    promotion.promote(NAME, register(0.1))
    assert [move.before for move in moves(NAME)] == [None]


def test_a_run_says_its_word_once() -> None:
    version = register(0.1)
    run_id = str(registry.get_version(NAME, version).run_id)
    first, again = (
        promotion.settle(NAME, version, lambda: gate.Verdict((), True), True, run_id)
        for _ in range(2)
    )
    assert first == again
    assert len(moves(NAME)) == 1
    assert registry.create_version(NAME, "file:///elsewhere", run_id, {}) == version


def test_records_with_a_suffix_are_read_and_counted_on() -> None:
    register(0.1)
    old = dict(vars(made("promote", None, "1", [], "1")))
    del old["note"], old["run_id"]
    client().set_registered_model_tag(NAME, f"{PREFIX}000001.0a1b2c3d", json.dumps(old))
    promotion.promote(NAME, register(0.1))
    assert list(numbered(client().get_registered_model(NAME).tags)) == [1, 2]
    assert moves(NAME)[1].before == "1"


def test_who_and_why_are_kept() -> None:
    promotion.promote(NAME, register(0.3))
    promotion.promote(NAME, register(0.1), note="asked for by the board")
    promotion.rollback(NAME, note="complaints\nfrom two branches")
    assert [move.note for move in moves(NAME)] == [
        "",
        "asked for by the board",
        "complaints from two branches",
    ]
    assert all(move.who for move in moves(NAME))


def test_rollback_passes_over_what_can_no_longer_answer() -> None:
    for noise in (0.5, 0.4, 0.3, 0.1):
        promotion.promote(NAME, register(noise))
    client().delete_model_version(NAME, "2")
    _package(NAME, "3").joinpath("scorer.json").write_text("{")
    assert promotion.rollback(NAME) == ("4", "1")
    assert moves(NAME)[-1].reasons[1:] == [
        "version 3 was passed over: it cannot be loaded",
        "version 2 was passed over: it was deleted",
    ]
    assert succession(moves(NAME)) == ["1"]
    with pytest.raises(InputError, match="no earlier champion"):
        promotion.rollback(NAME)


def test_rollback_with_nothing_left_to_answer_moves_nothing() -> None:
    for noise in (0.3, 0.1):
        promotion.promote(NAME, register(noise))
    client().delete_model_version(NAME, "1")
    with pytest.raises(InputError, match=r"no earlier champion can answer; version 1 .* deleted"):
        promotion.rollback(NAME)
    assert registry.champion(NAME) == "2"


def test_a_damaged_version_is_not_promoted() -> None:
    version = register(0.1)
    for path in _package(NAME, version).glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match="version 1 cannot be loaded"):
        promotion.promote(NAME, version)
    assert moves(NAME) == []


def test_a_champion_that_was_deleted_can_be_rolled_back_from() -> None:
    for noise in (0.3, 0.1):
        promotion.promote(NAME, register(noise))
    client().delete_model_version(NAME, "2")
    assert promotion.rollback(NAME) == ("2", "1")
    assert registry.champion(NAME) == "1"


def _package(name: str, version: str) -> Path:
    source = client().get_model_version(name, version).source
    return Path(source.removeprefix("file://")) / "artifacts" / "package"
