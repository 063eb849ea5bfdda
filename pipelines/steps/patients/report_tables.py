"""Tables of the patients report."""

from __future__ import annotations

from domains.healthcare.few import counted, patients_in
from domains.healthcare.outcomes.scores import MEAN
from domains.healthcare.outcomes.targets import known
from pipelines.evidence import Cell, Table
from pipelines.steps.patients import words
from pipelines.steps.patients.prepare import Prepared
from pipelines.steps.patients.tested import Tested


def made(prepared: Prepared, tested: Tested, model: str, rivals: list[str]) -> list[Table]:
    """Labels of every outcome, and the paired differences from the controls."""
    columns = ["outcome", "kind", "labels in test"]
    rows: list[list[Cell]] = [
        [name, codec.outcome.kind, _labels(tested, name, prepared.dataset.public)]
        for name, codec in tested.codecs.items()
    ]
    if prepared.dataset.public:
        columns += ["labels in training", "in training"]
        training = prepared.targets("train").values
        for row, (name, codec) in zip(rows, tested.codecs.items(), strict=True):
            labels = training[name]
            row += [int(known(labels).sum()), words.describe_labels(codec, labels)]
    outcomes = Table(
        "Outcomes and their labels",
        "How many records have each label; a record without one is masked for that outcome only.",
        columns,
        rows,
    )
    return [outcomes, *_differences(tested, model, rivals)]


def _labels(tested: Tested, name: str, public: bool) -> int | str:
    rows = known(tested.cohort.targets.values[name])
    return counted(int(rows.sum()), patients_in(tested.cohort.patients[rows]), public)


def _differences(tested: Tested, model: str, rivals: list[str]) -> list[Table]:
    rows: list[list[Cell]] = []
    keys = words.main_keys(tested.codecs, tested.comparison, model)
    if MEAN in tested.comparison.values[model]:
        keys[MEAN] = MEAN
    for name, key in keys.items():
        for rival in rivals:
            gap = tested.comparison.difference(model, rival, key)
            rows.append([name, rival, gap.value, gap.low, gap.high])
    if not rows:
        return []
    title, caption = "Paired differences", f"{model} minus the control, on the same test records."
    return [Table(title, caption, ["outcome", "control", "difference", "low", "high"], rows)]
