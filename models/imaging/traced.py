"""Everything that the scorer does to pixels, as one module of torch: what an export traces."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.imaging.backbones import Classifier
from models.imaging.conformal import Sets
from models.imaging.depths import at_depths
from models.imaging.outliers import Cloud, Familiar
from models.imaging.scorer import ImagingScorer
from models.imaging.views import views

OUTPUTS = ("probabilities", "sets", "distance")
"""Calibrated probabilities (n, k); whether each class is in the image's prediction set (n, k); the
distance from the training images (n,), above 1 is unlike them. What a model does not have is all
true, or all zero."""


_UNIT = 2.0**22


class Squeeze(nn.Module):
    """Pixels of any size squeezed to a square, bilinear with anti-aliasing.

    A triangle filter as wide as the reduction, first along the rows and then along the columns,
    rounded to whole grey levels after each. Weights are whole numbers of 2⁻²², and sums of them
    exact: pixel by pixel what Pillow computes.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, pixels: Tensor) -> Tensor:
        """Float (n, c, size, size), whole numbers 0 … 255, of whole numbers (n, H, W, c)."""
        values = pixels.permute(0, 3, 1, 2).to(torch.float64)
        across = _rounded(values @ self._filter(pixels.shape[2], pixels.device).T)
        return _rounded(self._filter(pixels.shape[1], pixels.device) @ across).to(torch.float32)

    def _filter(self, side: int, device: torch.device) -> Tensor:
        """Weights (size, side) of each place of the side for each place of the square."""
        place = (2 * torch.arange(side, device=device) + 1) * self.size
        centre = (2 * torch.arange(self.size, device=device) + 1) * side
        reach = 2 * torch.sym_max(side, self.size)
        weight = (reach - (place[None, :] - centre[:, None]).abs()).clamp(min=0)
        whole = weight.sum(dim=1, keepdim=True).to(torch.float64)
        return torch.floor(weight.to(torch.float64) / whole * _UNIT + 0.5)


def _greyed(pixels: Tensor) -> Tensor:
    """Brightness (n, H, W, 1) of uint8 (n, H, W, 3), in the whole numbers that Pillow counts in."""
    red, green, blue = pixels.to(torch.int32).unbind(dim=3)
    weighed = 19595 * red + 38470 * green + 7471 * blue + 32768
    return torch.div(weighed, 65536, rounding_mode="floor").unsqueeze(3)


def _rounded(values: Tensor) -> Tensor:
    return torch.floor((values + _UNIT / 2) / _UNIT).clamp(0.0, 255.0)


class Traced(nn.Module):
    """A scorer's net with its preprocessing, calibration, prediction sets and distances."""

    def __init__(self, scorer: ImagingScorer) -> None:
        super().__init__()
        self.net: Classifier = scorer.net
        self.squeeze, self.views = Squeeze(scorer.image_size), scorer.views
        self.labels = isinstance(scorer.temperature, tuple)
        self.temperature: Tensor
        self.register_buffer("temperature", torch.tensor(scorer.temperature, dtype=torch.float32))
        self.membership = _Membership(scorer.sets)
        self.distance = _Distance(scorer.familiar)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `OUTPUTS`; pixels uint8 (n, H, W, 3)."""
        squeezed = self.squeeze(_greyed(pixels) if self.net.backbone.channels == 1 else pixels)
        seen = [at_depths(self.net.backbone, view) for view in views(squeezed, self.views)]
        logits = torch.stack([self.net.head(layers[-1]) for layers in seen]).mean(dim=0)
        scaled = logits / self.temperature
        p = scaled.sigmoid() if self.labels else scaled.softmax(dim=1)
        return p, self.membership(logits.softmax(dim=1)), self.distance(seen[0])


class _Membership(nn.Module):
    """`Sets.members`."""

    def __init__(self, sets: Sets | None) -> None:
        super().__init__()
        self.sets = sets

    def forward(self, p: Tensor) -> Tensor:
        if self.sets is None:
            return torch.ones_like(p, dtype=torch.bool)
        scores = 1.0 - p if self.sets.method == "lac" else _upward(p)
        first = p >= p.amax(dim=1, keepdim=True)
        return (scores <= self.sets.threshold) | first


def _upward(p: Tensor) -> Tensor:
    """Probability of a class and of all those held to be more probable."""
    higher = p[:, None, :] > p[:, :, None]
    return p + (p[:, None, :] * higher).sum(dim=2)


class _Distance(nn.Module):
    """`Familiar.distance`."""

    def __init__(self, familiar: Familiar | None) -> None:
        super().__init__()
        self.limit = 1.0 if familiar is None else familiar.limit
        self.clouds = nn.ModuleList(map(_Cloud, familiar.clouds if familiar else ()))

    def forward(self, layers: list[Tensor]) -> Tensor:
        if not len(self.clouds):
            return layers[-1].new_zeros(layers[-1].shape[0])
        known = layers[-len(self.clouds) :]
        each = [cloud(values) for cloud, values in zip(self.clouds, known, strict=True)]
        return (torch.stack(each).mean(dim=0) / self.limit).sqrt()


class _Cloud(nn.Module):
    """`Cloud.raw`."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__()
        self.mean: Tensor
        self.basis: Tensor
        self.scale: Tensor
        for name in ("mean", "basis", "scale"):
            self.register_buffer(name, torch.from_numpy(getattr(cloud, name)))
        self.rest = cloud.rest

    def forward(self, features: Tensor) -> Tensor:
        centred = nn.functional.normalize(features, dim=1) - self.mean
        inside = centred @ self.basis
        left = (centred - inside @ self.basis.T) / self.rest
        total = (inside / self.scale).square().sum(dim=1) + left.square().sum(dim=1)
        return total / centred.shape[1]
