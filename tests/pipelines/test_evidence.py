"""Evidence survives JSON and refuses what a report could not draw."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.evidence import Arm, Evidence, Figure, Table, from_json, to_json

EVIDENCE = Evidence(
    pipeline="credit",
    headline="Sharing helped.",
    data={"name": "loans", "digest": "sha256:00", "rows": 10},
    split={"train": {"records": 8, "groups": 8}, "test": {"records": 2, "groups": 2}},
    metrics={"auroc": 0.7, "auroc_low": 0.6, "auroc_high": 0.8},
    arms=[Arm("federated", "arm", {"auroc": 0.7}, 1.5, chosen=True)],
    privacy={"epsilon": 3.0, "owners": {"loans/A": 3.0}},
    figures=[Figure("roc", "ROC", "Above the diagonal.", Path("figures/roc.png"))],
    tables=[Table("Lenders", "By lender.", ["lender", "auroc"], [["A", 0.7], ["B", None]])],
)


def test_json_round_trip_is_the_identity() -> None:
    assert from_json(json.loads(json.dumps(to_json(EVIDENCE)))) == EVIDENCE


def test_numpy_scalars_become_plain_numbers() -> None:
    arm = Arm("a", "arm", {"auroc": np.float64(0.5)}, np.float64(1.0))
    value = to_json(Evidence("credit", "h", {"rows": np.int64(3)}, {}, {}, [arm]))
    assert json.loads(json.dumps(value))["data"]["rows"] == 3
    assert type(value["arms"][0]["seconds"]) is float


def test_a_ragged_table_names_the_row() -> None:
    with pytest.raises(ValueError, match="row 1 of table 'T' has 1 cells, expected 2"):
        Table("T", "", ["a", "b"], [["x", 1], ["y"]])


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(ValueError, match="'arm' or 'control'"):
        Arm("a", "baseline", {}, 0.0)  # type: ignore[arg-type]
