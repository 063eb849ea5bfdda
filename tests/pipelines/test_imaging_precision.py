"""Half precision is taken where it moves no answer, and what it moves is told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.imaging.backbones import Classifier, build
from models.imaging.export import Parity
from models.imaging.forward import Machine
from models.imaging.scorer import ImagingScorer
from pipelines.steps.imaging import exporting, packing
from pipelines.steps.imaging.trust import Trust

_LOGITS = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
_LABELS = (_LOGITS + np.random.default_rng(1).normal(size=(60, 2)) > 0).astype(np.int8)


@pytest.mark.parametrize(
    ("y", "moved", "expected"),
    [
        (_LABELS, np.array([0.2, 0.2]), "float32"),  # a softmax over labels would not move
        (_LABELS, np.array([1e-3, 1e-3]), "bfloat16"),
        (_LABELS[:, 1].astype(np.int64), np.array([0.2, 0.2]), "bfloat16"),
        (_LABELS[:, 1].astype(np.int64), np.array([0.2, 0.0]), "float32"),
    ],
)
def test_half_precision_is_served_where_it_moves_no_probability(
    monkeypatch: pytest.MonkeyPatch, y: np.ndarray, moved: np.ndarray, expected: str
) -> None:
    def read(scorer: ImagingScorer, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _LOGITS + (moved if scorer.precision == "bfloat16" else 0), _LOGITS

    monkeypatch.setattr(packing, "machine", lambda *_, **__: Machine(half=True))
    monkeypatch.setattr(ImagingScorer, "read", read)
    config: Any = SimpleNamespace(precision="auto")
    scorer = ImagingScorer(Classifier(build("resnet18", 32), 2), ("a", "b"), 32)
    assert packing._precision(config, scorer, np.zeros((60, 1)), y) == expected


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_how_far_half_precision_takes_the_served_model_from_its_files_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, precision: Any
) -> None:
    net = Classifier(build("resnet18", 32), 2).eval()
    ImagingScorer(net, ("a", "b"), 32, precision=precision).save(tmp_path)

    def parity(scorer: ImagingScorer, form: Any, file: Path, batches: list[Any]) -> Parity:
        apart = 1e-7 if scorer.precision == "float32" else 0.04
        return Parity(form, file, apart, None, None, len(batches))

    def export(_: ImagingScorer, folder: Path, __: Any) -> dict[str, Path]:
        (folder / "model.pt2").touch()
        return {"pt2": folder / "model.pt2"}

    monkeypatch.setattr(exporting, "parity", parity)
    monkeypatch.setattr(exporting, "export", export)
    config: Any = SimpleNamespace(export=["pt2"], scale="tiny")
    found = Trust()
    exporting.export_package(found, config, tmp_path)
    told = "as it is served, in bf16, a probability differs from model.pt2's by 0.04 at most"
    assert (told in found.exported[0]) == (precision == "bfloat16")
