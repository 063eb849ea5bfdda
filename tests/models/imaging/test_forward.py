"""Where a net runs and how it multiplies: what is there, unless somebody insists."""

import pytest
import torch

from models.imaging import precision
from models.imaging.forward import Machine, machine


def _there(monkeypatch: pytest.MonkeyPatch, cuda: bool, halves: bool, cpu_halves: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: halves)
    monkeypatch.setattr(precision, "has_bf16", lambda: cpu_halves)


@pytest.mark.parametrize("halves", [True, False])
def test_a_cuda_device_is_taken_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, halves: bool
) -> None:
    """Its own word on bf16 counts, not the processor's."""
    _there(monkeypatch, cuda=True, halves=halves, cpu_halves=not halves)
    assert machine("efficientnet-lite0", precision="auto") == Machine("cuda", halves)
    assert machine("efficientnet-lite0", "cpu", "auto") == Machine("cpu", not halves)


@pytest.mark.parametrize("cuda", [True, False])
def test_a_precision_that_is_asked_for_is_kept_anywhere(
    monkeypatch: pytest.MonkeyPatch, cuda: bool
) -> None:
    _there(monkeypatch, cuda=cuda, halves=True, cpu_halves=True)
    assert not machine("densenet121", precision="float32").half
    _there(monkeypatch, cuda=cuda, halves=False, cpu_halves=False)
    assert machine("densenet121", precision="bfloat16").half


def test_without_a_cuda_device_the_processor_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for native in (True, False):
        _there(monkeypatch, cuda=False, halves=True, cpu_halves=native)
        assert machine("densenet121", precision="auto") == Machine("cpu", native)
