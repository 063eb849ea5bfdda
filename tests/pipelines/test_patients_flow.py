"""The patients pipeline from a user's file to a registered version, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from models.scorer import load
from pipelines.governance import held_out as held
from pipelines.governance import registry
from pipelines.patients import patients
from pipelines.settings import PatientsConfig, load_config
from pipelines.steps.patients.held_out import held_out
from pipelines.steps.patients.prepare import PARTS, fetch_data, prepare
from pipelines.tracking import client, open_job
from tests.domains.sample_patients import sample_patients

OUTCOMES: list[dict[str, Any]] = [
    {"name": "death", "kind": "binary", "column": "died"},
    {"name": "place", "kind": "multiclass", "column": "discharge"},
    {"name": "stay", "kind": "regression", "column": "days", "transform": "log1p", "missing": [-1]},
    {"name": "survival", "kind": "survival", "time": "time", "event": "event", "horizons": [5, 20]},
]

LEVELS = ["home", "ward", "hospice", "expected"]


def _config(folder: Path, **keys: Any) -> PatientsConfig:
    """A configuration file beside a table of 900 visits of 450 patients, read as a user's is."""
    frame = keys.pop("frame", None)
    frame = sample_patients(visits=2) if frame is None else frame
    frame.to_csv(folder / "visits.csv", index=False)
    values = {
        "data": {"path": "visits.csv", "patient": "id", "public": True},
        "outcomes": OUTCOMES,
        "scale": "tiny",
        **keys,
    }
    (folder / "job.yaml").write_text(json.dumps(values))  # JSON is YAML
    config = load_config("patients", folder / "job.yaml")
    assert isinstance(config, PatientsConfig)
    return config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> dict[str, Any]:
    """One run on a public file with an external test file; the home stays set for the module."""
    folder = tmp_path_factory.mktemp("patients")
    sample_patients(300, seed=7).to_parquet(folder / "elsewhere.parquet")
    visits = sample_patients(visits=2).assign(note="only here")
    external = {"path": "elsewhere.parquet"}
    config = _config(folder, frame=visits, exclude=["note"], test=external)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        result: dict[str, Any] = patients(config)
        version = client().get_model_version("patients-visits", "1")
        evidence = registry.stored_evidence(version)
        answers = held.load(registry.held_out_path(result["run_id"]))
    return {"result": result, "evidence": evidence, "answers": answers, "home": folder / "home"}


def test_a_version_is_registered_with_every_metric_and_its_interval(run: dict[str, Any]) -> None:
    metrics = run["result"]["metrics"]
    names = ["death.auroc", "death.ece", "place.auroc", "place.ece", "stay.r2", "survival.cindex"]
    for name in ["mean", *names]:
        for prefix in ("", "external."):
            low, value, high = (metrics[prefix + name + end] for end in ("_low", "", "_high"))
            assert low <= value <= high, name
    assert metrics["death.auroc"] > 0.75
    assert run["result"]["model"]["name"] == "patients-visits"
    assert run["result"]["model"]["aliases"]
    assert run["result"]["privacy"] is None


def test_both_controls_have_the_same_metrics(run: dict[str, Any]) -> None:
    controls = run["result"]["controls"]
    assert {"single-task", "boosting"} <= set(controls)
    served = set(run["result"]["metrics"])
    own = {name for name in served if name.startswith("shared.")}
    here = {name for name in served - own if not name.startswith("external.")}
    assert {name.removeprefix("shared.") for name in own} == here
    for metrics in controls.values():
        assert set(metrics) == served - own


def test_the_report_says_who_won_outcome_by_outcome(run: dict[str, Any]) -> None:
    evidence = run["evidence"]
    for outcome in OUTCOMES:
        assert any(line.startswith(f"{outcome['name']}: ") for line in evidence["findings"])
    assert any(line.startswith("Against gradient boosting") for line in evidence["findings"])
    assert set(evidence["calibration"]) == {"death", "place", "survival"}
    assert any("elsewhere.parquet, 300 records" in note for note in evidence["data"]["notes"])
    names = {figure["name"] for figure in evidence["figures"]}
    assert {"outcomes-auroc", "outcomes-r2", "outcomes-difference", "reliability"} <= names
    assert Path(run["result"]["report"]).exists()


def test_split_counts_every_record_once_and_patients_whole(run: dict[str, Any]) -> None:
    split = run["evidence"]["split"]
    assert set(split) == {*PARTS, "external"}
    assert sum(split[part]["records"] for part in PARTS) == 900
    assert sum(split[part]["groups"] for part in PARTS) == 450


def test_the_gates_number_is_the_reported_mean(run: dict[str, Any]) -> None:
    found = held.primary(run["answers"])
    told = run["result"]["metrics"]
    assert found.value == pytest.approx(told["mean"], abs=1e-9)
    assert (found.low, found.high) == pytest.approx((told["mean_low"], told["mean_high"]))
    error = held.calibration_error(run["answers"])
    eces = [run["result"]["metrics"][f"{name}.ece"] for name in ("death", "place")]
    assert error == pytest.approx(max(eces), abs=1e-9)


def test_no_patient_id_or_record_is_left_behind(run: dict[str, Any]) -> None:
    """Scratch folders are gone; reports and artifacts name no patient."""
    assert not list((run["home"] / "runs").glob("*"))
    for path in [*(run["home"] / "reports").rglob("*"), *(run["home"] / "artifacts").rglob("*")]:
        if path.suffix in (".json", ".md", ".yaml", ".html"):
            assert "p0-1" not in path.read_text(encoding="utf-8"), path


def test_private_records_train_the_configured_model_alone(
    home: Path, tmp_path: Path, prefect_server: str
) -> None:
    frame = sample_patients(visits=2)
    rare = frame.index[frame["ward"] == "rare"]
    frame.loc[rare[4:], "ward"] = "medicine"  # too few to be named, however the key splits them
    config = _config(
        tmp_path,
        frame=frame,
        data={"path": "visits.csv", "patient": "id", "name": "ward"},
        sharing="none",
        outcomes=OUTCOMES[:1],
    )
    result = patients(config)
    assert result["controls"] == {}
    assert "evidence: met (nothing missing)" in result["gate"]["reasons"]
    assert result["data"]["digest"].startswith("hmac-sha256:")
    assert result["model"]["name"] == "patients-ward"
    runs = client().search_runs([e.experiment_id for e in client().search_experiments()])
    assert runs
    assert not [key for run in runs for key in run.data.metrics if key.startswith("curve.")]
    evidence = registry.stored_evidence(client().get_model_version("patients-ward", "1"))
    (table,) = (t for t in evidence["tables"] if t["title"].startswith("Outcomes"))
    assert table["columns"] == ["outcome", "kind", "labels in test"]
    assert any("rounded quantiles of the training features" in line for line in evidence["limits"])
    (package,) = (home / "artifacts").rglob("scorer.json")
    features = {f["name"]: f for f in json.loads(package.read_text())["features"]}
    assert features["ward"]["levels"] == ["medicine", "surgery"]
    assert all(float(f"{value:.3g}") == value for value in features["lab"]["values"])


def test_curves_and_training_labels_of_public_records_are_kept(run: dict[str, Any]) -> None:
    (table,) = (t for t in run["evidence"]["tables"] if t["title"].startswith("Outcomes"))
    assert "labels in training" in table["columns"]
    assert any("holds quantiles of the training" in line for line in run["evidence"]["limits"])


def test_a_suspect_column_of_private_records_is_named_without_a_number(
    home: Path, tmp_path: Path
) -> None:
    frame = sample_patients(visits=2).assign(code=lambda d: np.where(d.died == 1, "x", "y"))
    config = _config(tmp_path, frame=frame, data={"path": "visits.csv", "patient": "id"})
    with open_job("patients", config) as job:
        (warning, *_) = prepare.fn(job, fetch_data.fn(job)).warnings
    assert "code alone all but gives away death" in warning
    assert "AUROC" not in warning


def test_equal_names_of_splits_mean_equal_splits(home: Path, tmp_path: Path) -> None:
    def name(**keys: Any) -> str:
        data = {"path": "visits.csv", "patient": "id", "public": True, **keys.pop("data", {})}
        return str(_prepare(_config(tmp_path, data=data, **keys))[1].split)

    frame = sample_patients(visits=2)
    first = name()
    assert first == name(frame=frame.sample(frac=1, random_state=0))
    others = {
        name(data={"name": "other"}),
        name(data={"patient": None}, exclude=["id"]),
        name(data={"patient": None}, exclude=["id", "new"], frame=frame.assign(new=1)),
        name(data={"public": False}),
        name(seed=1),
    }
    assert len({first, *others}) == 6


def test_a_split_by_site_is_not_named_by_a_share(home: Path, tmp_path: Path) -> None:
    frame = sample_patients(visits=2)
    site = frame["id"].str[-1]
    data = {"path": "visits.csv", "patient": "id", "public": True}
    by_site = {**data, "site": "site", "split_by": "site", "test_sites": ["1", "2"]}
    held = _prepare(_config(tmp_path, frame=frame.assign(site=site), data=by_site))[1]
    assert "held out by site" in held.split
    assert "% test" not in held.split
    assert "20% test" in _prepare(_config(tmp_path, data=data))[1].split


def _prepare(config: PatientsConfig) -> tuple[Any, Any]:
    with open_job("patients", config) as job:
        prepared = prepare.fn(job, fetch_data.fn(job))
        parts = {part: prepared.read(part) for part in PARTS}
        return parts, held_out(prepared, config.seed)


def test_no_patient_on_two_sides_and_the_split_does_not_move(home: Path, tmp_path: Path) -> None:
    parts, _ = _prepare(_config(tmp_path))
    seen = [set(cohort.patients) for cohort in parts.values()]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 450
    longer = pd.concat([sample_patients(visits=2), sample_patients(100, seed=9)])
    again, _ = _prepare(_config(tmp_path, frame=longer.sample(frac=1, random_state=0)))
    for part, patients_then in zip(parts, seen, strict=True):
        assert patients_then <= set(again[part].patients)


def test_private_splits_ignore_the_seed_and_public_ones_follow_it(
    home: Path, tmp_path: Path
) -> None:
    def tested(public: bool, seed: int) -> list[str]:
        data = {"path": "visits.csv", "patient": "id", "public": public}
        parts, _ = _prepare(_config(tmp_path, data=data, seed=seed))
        return sorted(parts["test"].patients)

    assert tested(False, 0) == tested(False, 1)
    assert tested(True, 0) != tested(True, 1)
    assert tested(False, 0) != tested(True, 0)


def test_held_out_targets_are_masked_where_labels_are_missing(home: Path, tmp_path: Path) -> None:
    parts, records = _prepare(_config(tmp_path))
    test = parts["test"]
    assert np.array_equal(~np.isnan(records.target["death"]), test.targets.mask[:, 0])
    assert set(records.target) == {"death", "place", "stay", "survival.time", "survival.event"}
    assert [o.metric for o in records.outcomes] == ["auroc", "auroc", "r2", "cindex"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"exclude": ["ages"]}, "exclude: no column 'ages'; did you mean age"),
        ({"frame": sample_patients(visits=2).assign(lab=np.nan)}, "column lab is empty"),
        ({"frame": sample_patients(visits=2).assign(died=1)}, "one class only in 900"),
        ({"frame": sample_patients(visits=2).assign(lab=np.inf)}, "infinite value"),
        (
            {"outcomes": [{**OUTCOMES[3], "horizons": [5, 5]}]},
            "two of its answers .* survival.at_5",
        ),
        ({"outcomes": [{**OUTCOMES[1], "kind": "ordinal", "levels": LEVELS}]}, "place.expected;"),
        ({"frame": sample_patients(8)}, r"in \d labelled records, expected at least 10"),
        ({"test": {"path": "visits.csv"}}, "stand on more than one side"),
        ({"data": {"path": "gone.csv"}}, "no such file"),
    ],
)
def test_bad_input_is_one_line_and_registers_nothing(
    keys: dict[str, Any], said: str, home: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said) as raised:
        _prepare(_config(tmp_path, **keys))
    assert "\n" not in str(raised.value)
    assert registry.list_versions() == []


def test_an_external_file_without_a_needed_column_is_refused(home: Path, tmp_path: Path) -> None:
    sample_patients(50, seed=7).drop(columns="ward").to_csv(tmp_path / "there.csv", index=False)
    with pytest.raises(InputError, match=r"there\.csv: 1 of 4 needed columns are missing: ward"):
        _prepare(_config(tmp_path, test={"path": "there.csv"}))


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ({"name": "x", "kind": "binary"}, "needs column"),
        ({"name": "x", "kind": "survival", "time": "t"}, "needs time and event"),
        ({"name": "x", "kind": "binary", "column": "c", "transform": "log1p"}, "transform is for"),
        ({"name": "x", "kind": "ranking", "column": "c"}, "outcomes.0.kind: expected"),
        ({"name": "death", "kind": "binary", "column": "c"}, "named twice: death"),
        ({"name": "mean", "kind": "binary", "column": "c"}, "'mean' is taken"),
    ],
)
def test_a_wrong_outcome_names_its_key(outcome: dict[str, Any], said: str, tmp_path: Path) -> None:
    declared = [outcome, *(OUTCOMES if outcome["name"] == "death" else [])]
    with pytest.raises(InputError, match=said):
        _config(tmp_path, outcomes=declared)


def test_a_registered_package_answers_raw_rows(run: dict[str, Any]) -> None:
    """The folder MLflow stored is the scorer itself: JSON and safetensors, nothing else."""
    (package,) = {path.parent for path in (run["home"] / "artifacts").rglob("scorer.json")}
    scorer: Any = load(package)
    assert scorer.known.keys() == {"age", "lab", "ward", "smoker"}
    assert scorer.known["age"] == 1.0 > scorer.known["lab"] > 0.7
    answers = scorer.predict(sample_patients(3, seed=5))
    assert list(answers.columns[:2]) == ["death", "place.home"]
    assert answers.notna().all().all()
