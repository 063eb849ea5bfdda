"""Transfer: the base is frozen, its features are computed once, and a new head is fitted to them.

Frozen means that no tensor and no buffer of the base changes: gradients are off and BatchNorm is
in eval. The features of every image are then constants, and one forward pass is all they cost.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.special import log_softmax
from torch import Tensor, nn

from domains import durable
from models.imaging.backbones import Backbone

_PENALTIES = (10.0, 3.0, 1.0, 3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4)
_BATCH = 128


def freeze(module: nn.Module) -> None:
    """Make a module constant: no gradients, and eval mode for BatchNorm and dropout."""
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    module.eval()


def to_batch(images: np.ndarray) -> Tensor:
    """Float pixels (n, 3, H, W), channels last in memory, from uint8 (n, H, W, 3).

    The layout costs nothing: it is the order in which the images lie on disk.
    """
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()


def features(backbone: Backbone, images: np.ndarray, cache: Path | None = None) -> np.ndarray:
    """Features of every image by one forward pass of the frozen base.

    Half precision (bf16) is used where the processor has it: there it is twice as fast, and a
    linear head does not see the difference.

    Args:
        backbone: Frozen by this call.
        images: uint8 (n, H, W, 3), perhaps memory-mapped.
        cache: Folder of features kept by digest of weights and images; None keeps none.

    Returns:
        float32 (n, d).
    """
    freeze(backbone)
    path = cache / f"features-{_digest(backbone, images)}.npy" if cache else None
    if path and path.exists():
        kept: np.ndarray = np.load(path)
        return kept
    out = np.empty((len(images), backbone.feature_dim), dtype=np.float32)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
        for start in range(0, len(images), _BATCH):
            rows = slice(start, start + _BATCH)
            out[rows] = backbone(to_batch(images[rows])).float().numpy()
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with durable.replacing(path) as part:
            np.save(part, out)
    return out


def has_bf16() -> bool:
    """Whether the processor multiplies bf16 natively; where it does not, bf16 is slower."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def _digest(backbone: Backbone, images: np.ndarray) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for tensor in backbone.state_dict().values():
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    digest.update(str(images.shape).encode())
    for start in range(0, len(images), 4096):
        digest.update(np.ascontiguousarray(images[start : start + 4096]).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Head:
    """A linear head on raw features: logits = features · weightᵀ + bias.

    Attributes:
        weight: float32 (k, d).
        bias: float32 (k,).
        penalty: Strength of the chosen L2 penalty.
        validation_loss: Log loss on validation at that penalty.
    """

    weight: np.ndarray
    bias: np.ndarray
    penalty: float
    validation_loss: float

    def logits(self, values: np.ndarray) -> np.ndarray:
        """Logits (n, k) of features (n, d)."""
        return np.asarray(values @ self.weight.T + self.bias)


def fit_head(
    values: np.ndarray, labels: np.ndarray, train: np.ndarray, validation: np.ndarray, classes: int
) -> Head:
    """Multinomial logistic regression; its L2 penalty is chosen on validation.

    The path runs from the strongest penalty to the weakest, each fit starting at the last one, and
    ends when the validation log loss has risen twice. Features are standardised by training rows;
    the scaling is folded into the weights that are returned.

    Args:
        values: Features (n, d).
        labels: Class numbers (n,).
        train: Rows to fit on.
        validation: Rows to choose the penalty on.
        classes: Number k of classes.
    """
    mean, scale = values[train].mean(axis=0), values[train].std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    x = torch.from_numpy(((values[train] - mean) / scale).astype(np.float32))
    y = torch.from_numpy(labels[train])
    held = ((values[validation] - mean) / scale).astype(np.float32)
    weight = torch.zeros(classes, x.shape[1] + 1, requires_grad=True)
    best, worse = None, 0
    for penalty in _PENALTIES:
        _descend(weight, x, y, penalty)
        fitted = weight.detach().numpy()
        loss = _log_loss(held @ fitted[:, :-1].T + fitted[:, -1], labels[validation])
        if best is None or loss < best[0]:
            best, worse = (loss, penalty, fitted.copy()), 0
        else:
            worse += 1
        if worse == 2:
            break
    assert best is not None  # noqa: S101 - the path is not empty
    loss, penalty, fitted = best
    folded = fitted[:, :-1] / scale
    return Head(folded.astype(np.float32), fitted[:, -1] - folded @ mean, penalty, loss)


def _descend(weight: Tensor, x: Tensor, y: Tensor, penalty: float) -> None:
    """Minimise mean log loss + penalty/2 · ‖weights‖² in place, by L-BFGS; the bias is free."""
    optimizer = torch.optim.LBFGS(
        [weight], max_iter=60, tolerance_change=1e-5, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(x @ weight[:, :-1].T + weight[:, -1], y)
        loss = loss + 0.5 * penalty * weight[:, :-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)


def _log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())
