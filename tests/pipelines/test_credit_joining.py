"""The table of joining: signs, who is told, and what of it stays with its lender."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from domains.metrics import auroc
from models.credit_encoding import Encoder
from pipelines.credit import credit
from pipelines.governance import registry
from pipelines.governance.moves import registered
from pipelines.steps.credit import at_home, joined, joining, scores
from pipelines.steps.credit.alone import better_of
from pipelines.steps.credit.charge import charge, find_loans
from pipelines.steps.credit.controls import ALONE
from pipelines.steps.credit.own_records import parts_of, step_codes, with_constant
from pipelines.steps.credit.personal import PERSONAL, own_models, own_scorecards
from pipelines.steps.credit.training import FEDERATED
from pipelines.tracking import open_job
from tests.domains.sample_loans import sample_loans
from tests.pipelines.sample_credit import config_of, prepare_in


def scored(sizes: dict[str, int], seed: int = 0) -> scores.Tested:
    """The shared model knows half of what being alone does, the personal one more than it."""
    rng = np.random.default_rng(seed)
    client = np.repeat(np.arange(len(sizes)), list(sizes.values()))
    risk = rng.normal(size=len(client))
    y = (rng.random(len(client)) < 1 / (1 + np.exp(-2 * risk))).astype(float)
    noise = rng.normal(size=(3, len(client)))
    logits = {FEDERATED: risk + 3 * noise[0], ALONE: risk + noise[1], PERSONAL: risk + noise[2] / 5}
    given = {arm: 1 / (1 + np.exp(-each)) for arm, each in logits.items()}
    return scores.Tested(y, client, np.arange(len(y)), tuple(sizes), given)


def test_differences_are_to_being_alone_and_a_better_arm_has_the_larger_one() -> None:
    sizes = {"large": 800, "small": 300}
    tested = scored(sizes)
    for member in joining.members(tested, sizes):
        rows = tested.client == list(sizes).index(member.name)
        for arm in (FEDERATED, PERSONAL):
            each = [auroc(tested.y[rows], tested.scores[name][rows]) for name in (arm, ALONE)]
            assert member.gains[arm].value == pytest.approx(each[0] - each[1], abs=1e-6)
        assert member.gains[FEDERATED].high < 0 < member.gains[PERSONAL].low
        assert "federated: worse off than alone by -0" in member.sentence()
        assert "personalised: better off than alone by +0" in member.sentence()


def test_an_arm_that_is_the_lenders_own_model_gains_nothing() -> None:
    sizes = {"a": 500}
    made = scored(sizes)
    same = scores.Tested(made.y, made.client, made.group, made.names,
                  {**made.scores, FEDERATED: made.scores[ALONE]})  # fmt: skip
    (member,) = joining.members(same, sizes)
    gain = member.gains[FEDERATED]
    assert (gain.value, gain.low, gain.high) == (0, 0, 0)
    assert member.apart == pytest.approx(0, abs=1e-9)


def test_lenders_with_few_test_records_one_outcome_or_none_are_listed_without_numbers() -> None:
    sizes = {"large": 400, "few": 12, "sided": 200, "none": 300}
    made = scored({name: n for name, n in sizes.items() if name != "none"})
    y = np.where(made.client == 2, 0.0, made.y)
    tested = scores.Tested(y, made.client, made.group, made.names, made.scores)
    found = {member.name: member for member in joining.members(tested, sizes)}
    assert [*found] == ["large", "none", "sided", "few"]
    assert [name for name, member in found.items() if member.told] == ["large"]
    assert (found["none"].tested, found["none"].rate) == (0, None)
    table = joined.table([*found.values()])
    assert [row[1] for row in table.rows][1:] == ["Too few test records to tell."] * 3
    assert "too few" in found["few"].sentence()
    said = joined.sentences([*found.values()], joining.groups(tested, sizes))
    assert "3 have too few test records to tell" in said[0]


def test_one_lender_too_small_for_numbers_is_a_table_of_one_line() -> None:
    sizes = {"a": 10}
    found = joining.members(scored(sizes), sizes)
    assert len(joined.table(found).rows) == 1
    assert joined.figures(Path(), found[:0]) == []
    assert joined.sentences(found, []) == [
        "Joining: none of 1 clients has enough test records to tell."
    ]


def test_without_the_models_alone_there_is_no_table() -> None:
    made = scored({"a": 500})
    without = scores.Tested(made.y, made.client, made.group, made.names,
                     {FEDERATED: made.scores[FEDERATED]})  # fmt: skip
    assert joining.members(without, {"a": 500}) == []
    assert joining.groups(without, {"a": 500}) == []


def test_groups_hold_every_lender_also_those_without_numbers_of_their_own() -> None:
    sizes = {f"bank {n}": n for n in (12, 15, 30, 40, 200, 300, 400)}
    found = joining.groups(scored(sizes), sizes)
    assert sum(group.lenders for group in found) == len(sizes)
    assert [group.name.split()[0] for group in found] == ["smallest", "middle", "largest"]
    assert found[-1].gains[PERSONAL].low > 0 > found[-1].gains[FEDERATED].high


def test_where_joining_pays_is_told_by_size_from_the_groups_own_intervals() -> None:
    sizes = {f"bank {n}": n for n in (12, 15, 300, 310, 900, 950)}
    tested = scored(sizes)
    by_size = joining.groups(tested, sizes)
    told = joining.pays(by_size, PERSONAL)
    for group in by_size:
        place = told.index("{:,} to {:,}".format(*group.records))
        paid = place < len(told.partition(";")[0])
        assert paid == (group.gains[PERSONAL].low > 0)
    assert "300 to 310 and 900 to 950 records" in told
    assert "nowhere" in joining.pays(by_size, FEDERATED)
    assert told in joined.sentences(joining.members(tested, sizes), by_size)


def test_alone_is_the_same_as_going_on_at_home_without_a_shared_model(
    home: Path, tmp_path: Path
) -> None:
    with open_job("credit", config_of(tmp_path)) as job:
        loans = prepare_in(job)
        alone = own_scorecards(loans, 8)
        shared = np.random.default_rng(0).normal(size=len(loans.facts))
        models, found = own_models(loans, shared, "alone", 8)
        assert found == pytest.approx(alone, abs=1e-6)
        assert all(own.share == 0.0 for own in models.values())


def test_what_is_left_at_home_says_again_what_the_lenders_own_model_says(
    home: Path, tmp_path: Path
) -> None:
    with open_job("credit", config_of(tmp_path)) as job:
        loans = prepare_in(job)
        shared = np.random.default_rng(0).normal(size=len(loans.facts))
        models, found = own_models(loans, shared, "proximal", 8)
        for name, part in parts_of(loans.facts).items():
            told = json.loads(json.dumps(models[name].told()))
            bins = Encoder.from_json(told["own_bins"]).encode(loans.frame.iloc[part.every])
            again = (
                told["share_of_shared_model"] * shared[part.every]
                + with_constant(step_codes(loans)[part.every]) @ told["weights"]
                + with_constant(bins) @ told["own_weights"]
            )
            assert found[part.every] == pytest.approx(again, abs=1e-6)


def test_a_head_ranks_a_lenders_loans_as_the_shared_model_does(home: Path, tmp_path: Path) -> None:
    with open_job("credit", config_of(tmp_path)) as job:
        loans = prepare_in(job)
        y = loans.facts["y"].to_numpy(dtype=float)
        shared = 3.0 * y + np.random.default_rng(0).normal(size=len(y))
        _, found = own_models(loans, shared, "head", 8)
        for part in parts_of(loans.facts).values():
            assert np.array_equal(np.argsort(found[part.every]), np.argsort(shared[part.every]))


def test_each_lender_counts_the_model_that_its_own_calibration_records_prefer(
    home: Path, tmp_path: Path
) -> None:
    with open_job("credit", config_of(tmp_path)) as job:
        facts = prepare_in(job).facts
    y, north = facts["y"].to_numpy(dtype=float), (facts["client"] == "North").to_numpy()
    good, bad = 6.0 * y - 3.0, 3.0 - 6.0 * y
    candidates = {"mlp": np.where(north, good, bad), "scorecard": np.where(north, bad, good)}
    found, most = better_of(facts, candidates)
    assert most == {"mlp": 1, "scorecard": 2}
    assert found == pytest.approx(good, abs=1e-3)


@pytest.mark.parametrize("lenders", [3, 60])
def test_pictures_of_few_and_of_many_lenders_are_drawn(lenders: int, tmp_path: Path) -> None:
    sizes = {f"bank {n}": 200 for n in range(lenders)}
    drawn = joined.figures(tmp_path, joining.members(scored(sizes), sizes))
    assert all(figure.path.exists() for figure in drawn)
    along = ["joining-along"] if lenders > 5 else []  # too few to see a rank go along with a gain
    assert [figure.name for figure in drawn] == ["joining", *along]


def test_a_lenders_own_model_depends_on_no_other_lenders_records(
    home: Path, tmp_path: Path
) -> None:
    with open_job("credit", config_of(tmp_path)) as job:
        loans = prepare_in(job)
        facts = loans.facts
        every = np.concatenate([part.every for part in parts_of(facts).values()])
        assert sorted(every) == list(range(len(facts)))
        shared = np.random.default_rng(0).normal(size=len(facts))
        north = (facts["client"] == "North").to_numpy()
        before = own_models(loans, shared, "proximal", 8)[1][north]
        turned = facts.assign(y=np.where(north, facts["y"], 1 - facts["y"]))
        turned.to_parquet(loans.folder / "facts.parquet")
        after = own_models(loans, shared, "proximal", 8)[1]
    assert after[north] == pytest.approx(before, abs=1e-4)
    assert np.abs(after[~north]).sum() > 0


@pytest.fixture(scope="module")
def private_run(
    tmp_path_factory: pytest.TempPathFactory, prefect_server: str
) -> Iterator[tuple[Path, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("joining")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        yield folder / "home", credit(config_of(folder, personalise="proximal"))


def test_of_private_records_each_lender_alone_gets_its_model_and_its_line(
    private_run: tuple[Path, dict[str, Any]],
) -> None:
    home, result = private_run
    found = {json.loads(p.read_text())["client"]: p for p in home.glob("clients/*/*.json")}
    assert {*found} == {"North", "South", "West"}
    for name, path in found.items():
        told = json.loads(path.read_text())
        assert path.stem == result["run_id"]
        assert told["line"]["name"] == name
        assert {*told["line"]["areas"]} <= {ALONE, FEDERATED, PERSONAL}  # others' records pool none
        assert not any(other in path.read_text() for other in {*found} - {name})
        assert (path.stat().st_mode & 0o077, path.parent.stat().st_mode & 0o077) == (0, 0)


def test_nothing_personal_of_private_records_is_in_what_the_run_shares(
    private_run: tuple[Path, dict[str, Any]],
) -> None:
    home, result = private_run
    assert PERSONAL not in result["controls"]
    held = list(home.glob("clients/*/*.json"))
    weights = [json.loads(p.read_text())["weights"] for p in held]
    spelled = [str(max(own, key=abs))[:10].encode() for own in weights]
    shared = [p for p in home.rglob("*") if p.is_file() and "clients" not in p.parts]
    assert any(p.name == "evidence.json" for p in shared)
    for path in shared:
        content = path.read_bytes()
        assert b"share_of_shared_model" not in content, path
        assert not any(each in content for each in spelled), path
        if path.name == "evidence.json":
            assert PERSONAL not in json.dumps([a["name"] for a in json.loads(content)["arms"]])
            assert joined.TITLE.encode() not in content


def test_a_folder_that_cannot_be_written_does_not_end_a_run_that_is_paid_for(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "clients").write_text("no folder")
    monkeypatch.setattr(at_home, "shared_log_odds", lambda model: np.zeros(model))
    with open_job("credit", config_of(tmp_path, personalise="head")) as job:
        loans = prepare_in(job)
        records: Any = len(loans.facts)
        assert at_home.personalise.fn(job, loans, records) == []
    assert "not every lender's model could be made (NotADirectoryError)" in capsys.readouterr().err


def test_lenders_that_are_gone_since_the_champion_or_new_are_told_in_a_line_each(
    private_run: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, result = private_run
    monkeypatch.setenv("CARELEDGER_HOME", str(home))
    version = result["model"]["version"]
    monkeypatch.setattr(registry, "champion", lambda name: version if registered(name) else None)

    job: Any = SimpleNamespace(name=result["model"]["name"])
    assert joined.come_and_gone(job, ["North", "South", "West"]) == []
    (said,) = joined.come_and_gone(job, ["North", "South"])
    assert "Of the 3 clients of the champion, 1 takes no part in this run (West)" in said
    (said,) = joined.come_and_gone(job, ["North", "South", "West", "East"])
    assert said == "Of the 4 clients of this run, the champion has not learned from 1 (East)."
    job.name = "never-registered"
    assert joined.come_and_gone(job, ["North"]) == []


def test_what_is_not_said_is_proximal_for_public_records_with_controls_and_none_else(
    tmp_path: Path,
) -> None:
    config = config_of(tmp_path)
    assert config.personalised(public=False) == "none"
    assert config.personalised(public=True) == "proximal"
    without = config_of(tmp_path, controls="none")
    assert without.personalised(public=True) == "none"
    assert config_of(tmp_path, personalise="head").personalised(public=False) == "head"


def test_the_largest_lenders_can_be_skipped_and_not_all_of_them(home: Path, tmp_path: Path) -> None:
    frame = sample_loans()
    largest = pd.Series(frame["bank"]).value_counts().index.tolist()
    config = config_of(tmp_path, frame, clients={"column": "bank", "top": 1, "skip": 1})
    with open_job("credit", config) as job:
        assert [*charge.fn(job, find_loans.fn(job)).census.sizes] == largest[1:2]
    config = config_of(tmp_path, frame, clients={"column": "bank", "skip": 3})
    with open_job("credit", config) as job:
        table = find_loans.fn(job)
        with pytest.raises(InputError, match=r"clients\.skip: found 3"):
            charge.fn(job, table)
