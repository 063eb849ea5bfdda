"""A version recalibrated: the same weights and order, told where it comes from, and judged; nothing
is learnt from a record that trained or might."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError, Refused
from domains.splits import assign, split_key
from models.credit_decision import decisions
from pipelines.auditing.claim import read_claim
from pipelines.governance import registry, seen
from pipelines.governance.lineage import trained_run
from pipelines.governance.story import story
from pipelines.governance.versions import load_version
from pipelines.recalibrate import Asked, change_of, read_source, recalibrate
from pipelines.settings import home_key
from pipelines.steps.credit.labelled import read_labelled
from pipelines.steps.credit.recalibration import BEFORE, thinned
from pipelines.tracking import client
from tests.pipelines.sample_credit import config_of, spent
from tests.pipelines.sample_version import DATA, MODEL, loans_of, train_loans

pytestmark = pytest.mark.slow

PARTS = {"train": 0.7, "calibration": 0.1, "test": 0.2}


@dataclass(frozen=True)
class Made:
    """A version and what was made of it: by a stated rate, and by a labelled file."""

    folder: Path
    trained: dict[str, Any]
    by_rate: dict[str, Any]
    by_file: dict[str, Any]
    spent: tuple[dict[str, float], dict[str, float]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("recalibrate")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        (folder / "home").mkdir()
        (folder / "home" / "key").write_bytes(bytes(range(32)))
        trained, before = train_loans(folder), spent()
        by_rate = recalibrate(Asked(f"{MODEL}/1", rate=0.1))
        loans_of(6000, 9, first=10_000).to_csv(folder / "later.csv", index=False)
        by_file = recalibrate(Asked(f"{MODEL}/1", data=folder / "later.csv"))
        yield Made(folder, trained, by_rate, by_file, (before, spent()))


def _scorer(version: str) -> Any:
    return load_version(MODEL, version).scorer


def _version(number: str) -> Any:
    return client().get_model_version(MODEL, number)


def test_a_new_version_of_the_same_order_approves_the_same_loans(made: Made) -> None:
    frame = loans_of(500, 4)
    old, new = _scorer("1"), _scorer("2")
    before, after = old.predict(frame), new.predict(frame)
    assert (before["score"] == after["score"]).all()
    assert (after["probability"].rank() == before["probability"].rank()).all()
    words = [decisions(*each) for each in ((old, before), (new, after))]
    assert words[0] is not None
    assert (words[0] == words[1]).all()
    assert after["probability"].mean() < before["probability"].mean()
    for name in ("auroc", "auroc_low", "ks", "gini"):
        assert made.by_rate["metrics"][name] == made.trained["metrics"][name]


def test_it_costs_nobody_anything(made: Made) -> None:
    before, after = made.spent
    assert before == after != {}
    assert made.by_rate["privacy"] == made.trained["privacy"]


@pytest.mark.parametrize("number", ["2", "3"])
def test_it_tells_where_it_comes_from(made: Made, number: str) -> None:
    source, version = _version("1"), _version(number)
    assert version.tags["careledger.recalibrated"] == f"{MODEL}/1"
    assert story(f"{MODEL}/{number}")["versions"][0]["lineage"]["recalibrated_from"] == f"{MODEL}/1"
    assert trained_run(version) == source.run_id != version.run_id
    for name in ("ledger", "epsilon", "split", "data.digest"):
        key = f"careledger.{name}"
        assert version.tags[key] == source.tags[key]
    assert "careledger.gate" in version.tags


@pytest.mark.parametrize("number", ["2", "3"])
def test_its_audit_is_that_of_the_run_that_trained_its_weights(made: Made, number: str) -> None:
    claim = read_claim(f"{MODEL}/{number}")
    assert claim.run_id == _version("1").run_id
    assert claim.charged.keys() == {"loans/North", "loans/South", "loans/West"}


def test_whoever_trained_the_weights_was_seen_by_every_version_of_them(made: Made) -> None:
    ids = [f"L{row}" for row in range(2400)]
    trained = [each for each in seen.sights(ids) if each.part == "train"]
    assert {each.version for each in trained} == {"1", "2", "3"}
    assert len({len(each.ids) for each in trained}) == 1
    asked = seen.sights([f"L{10_000 + row}" for row in range(6000)])
    assert {(each.version, each.part) for each in asked} == {("3", "calibration"), ("3", "test")}
    assert not any("/" in each for each in seen.without_record())


def test_the_evidence_stands_on_records_that_chose_nothing(made: Made) -> None:
    evidence = registry.stored_evidence(_version("3"))
    key = split_key(0, (made.folder / "home" / "key").read_bytes())
    parts = assign(loans_of(6000, 9, first=10_000)["loan"].to_numpy(), PARTS, key)
    told = {k: v["records"] for k, v in evidence["split"].items() if k.startswith("recalibration")}
    assert told == {
        f"recalibration, {part}": int((parts == part).sum()) for part in ("calibration", "test")
    }
    (table,) = [t for t in evidence["tables"] if t["title"] == "Calibration before and after"]
    assert f"On {told['recalibration, test']} records" in table["caption"]
    assert made.by_file["metrics"]["fairness.sex.approval_ratio"] > 0
    rate = made.by_file["metrics"]["approval.rate"]
    assert rate == pytest.approx(0.7, abs=0.1)


def test_a_stated_rate_is_shown_on_held_out_records_thinned_to_it(made: Made) -> None:
    metrics = made.by_rate["metrics"]
    assert metrics["default_rate"] == pytest.approx(0.1, abs=0.01)
    answered = registry.stored_answers(_version("1"))
    before = answered.frame["target.default"].mean()
    assert before > 0.2
    some, fewer = thinned(answered, 0.15).frame, thinned(answered, 0.1).frame
    assert some["target.default"].mean() == pytest.approx(0.15, abs=0.005)
    assert set(fewer["record"]) < set(some["record"]) < set(answered.frame["record"])
    assert thinned(answered, before).frame.equals(answered.frame)
    with pytest.raises(InputError, match="could test it"):
        thinned(answered, 0.001)


def test_recalibrating_brings_no_control_that_the_weights_never_had(made: Made) -> None:
    """Else it would be a way past a gate that asks for controls."""
    for result in (made.by_rate, made.by_file):
        assert result["controls"] == made.trained["controls"]
    arms = registry.stored_evidence(_version("2"))["arms"]
    assert [arm["name"] for arm in arms if arm["role"] == "arm"] == ["federated", BEFORE]


def test_a_recalibrated_version_is_recalibrated_from_where_it_stands(made: Made) -> None:
    source = read_source(f"{MODEL}/2")
    change = change_of(Asked(f"{MODEL}/2", rate=0.3), source, None)
    assert (change.before, change.after) == (0.1, 0.3)
    again = source.scorer.recalibrated(1.0, change.intercept, 0.3)
    first = read_source(f"{MODEL}/1")
    once = change_of(Asked(f"{MODEL}/1", rate=0.3), first, None)
    frame = loans_of(200, 4)
    straight = first.scorer.recalibrated(1.0, once.intercept, 0.3).predict(frame)
    assert again.predict(frame).to_numpy() == pytest.approx(straight.to_numpy())
    assert source.trained == _version("1").run_id


def _read(made: Made, frame: pd.DataFrame, **keys: Any) -> Any:
    path = made.folder / "again.csv"
    frame.to_csv(path, index=False)
    source = read_source(f"{MODEL}/1")
    config = config_of(made.folder, loans_of(100, 1), **{"data": DATA, **keys})
    return read_labelled(path, config, source.scorer.encoder, source.trained, public=False)


def test_no_private_record_on_the_training_side_says_anything(made: Made) -> None:
    """Their outcomes and amounts may be what they like; no other record moves."""
    frame = loans_of(6000, 9, first=10_000)
    side = assign(frame["loan"].to_numpy(), PARTS, split_key(0, home_key())) == "train"
    changed = frame.assign(
        defaulted=np.where(side, 1 - frame["defaulted"], frame["defaulted"]),
        amount=np.where(side, 1.0, frame["amount"]),
    )
    source, asked = read_source(f"{MODEL}/1"), Asked(f"{MODEL}/1", data=made.folder / "again.csv")
    changes = [change_of(asked, source, _read(made, each)) for each in (frame, changed)]
    assert changes[0] == changes[1]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"release": None}, "release: metrics"),
        ({"data": {"path": "loans.csv", "name": "loans"}}, "data.id"),
    ],
)
def test_private_records_are_refused_where_in_doubt(
    made: Made, keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=f"(?s)private.*{said}.*--rate"):
        _read(made, loans_of(100, 9), **keys)


@pytest.mark.parametrize("public", [False, True])
def test_another_home_cannot_tell_who_trained(
    made: Made, public: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = read_source(f"{MODEL}/1")
    config = config_of(made.folder, loans_of(100, 1), data=DATA)
    monkeypatch.setenv("CARELEDGER_HOME", str(tmp_path))
    with pytest.raises(Refused, match="another home"):
        read_labelled(
            made.folder / "later.csv", config, source.scorer.encoder, source.trained, public
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.head(300), "records are left for calibration"),
        (lambda f: f.drop(columns="income"), "income"),
        (lambda f: f.drop(columns="defaulted"), "defaulted"),
        (lambda f: f.assign(defaulted=0), "never holds the positive value"),
    ],
)
def test_a_file_that_cannot_recalibrate_is_said_in_a_line(
    made: Made, change: Any, said: str
) -> None:
    with pytest.raises(InputError, match=said) as error:
        _read(made, change(loans_of(6000, 9)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "--rate, --data"),
        ({"rate": 1.2}, "--rate: found 1.2"),
        ({"rate": 0.1, "was": 0.0}, "--was: found 0"),
        ({"data": Path("f.csv"), "was": 0.2}, "goes with --rate"),
        ({"rate": 0.1, "public": True}, "--data"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Asked(MODEL, **keys)


def test_without_leave_a_stated_rate_is_enough_and_nothing_is_told(
    tmp_path: Path, home: Path, known_key: None
) -> None:
    train_loans(tmp_path, release=None)
    with pytest.raises(InputError, match="--was"):
        recalibrate(Asked(f"{MODEL}/1", rate=0.1))
    result = recalibrate(Asked(f"{MODEL}/1", rate=0.1, was=0.3))
    assert result["metrics"] == {}
    assert all("gate: " in reason for reason in result["gate"]["reasons"])
    evidence = registry.stored_evidence(_version("2"))
    assert (evidence["tables"], evidence["figures"], evidence["fairness"]) == ([], [], [])
    scorer = load_version(MODEL, "2").scorer
    assert scorer.use.cutoff is None  # type: ignore[attr-defined]
    text = json.dumps(evidence)
    assert not any(str(amount) in text for amount in loans_of(2400, 0)["amount"])


def test_public_records_that_did_not_train_are_fitted_on_too(made: Made) -> None:
    source = read_source(f"{MODEL}/1")
    config = config_of(made.folder, loans_of(100, 1), data=DATA)
    frame = pd.concat([loans_of(2400, 0), loans_of(6000, 9, first=10_000)])
    frame.to_csv(made.folder / "public.csv", index=False)
    found = read_labelled(
        made.folder / "public.csv", config, source.scorer.encoder, source.trained, public=True
    )
    part, role = found.loans.part, found.role
    first = np.arange(len(role)) < 2400
    assert (role[first & (part == "train")] == "left out").all()
    assert (role[~first & (part == "train")] == "calibration").all()
    assert (role[part == "test"] == "test").all()
    assert found.dataset().public
