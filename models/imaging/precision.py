"""Half precision (bf16) where it pays, as measured: it halves what a matrix product reads.

Features of a frozen base cost half the time in it wherever the processor multiplies bf16 natively,
and a linear head does not see the difference. Training gains with dense convolutions alone:
depthwise ones (EfficientNet) are slower in it. What is stored and served stays whole.
"""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]
_DEPTHWISE = frozenset({"efficientnet-lite0"})


def half(backbone: str, asked: Precision, training: bool) -> bool:
    """Whether to compute in bf16.

    Args:
        backbone: Name of the encoder.
        asked: `auto`, or the precision that somebody insists on.
        training: Forward and backward, or forward alone.
    """
    if asked != "auto":
        return asked == "bfloat16"
    return has_bf16() and not (training and backbone in _DEPTHWISE)


def has_bf16() -> bool:
    """Whether the processor multiplies bf16 natively; where it does not, bf16 is slower."""
    return bool(torch.cpu._is_avx512_bf16_supported())
