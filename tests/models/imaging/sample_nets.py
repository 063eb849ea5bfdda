"""A net of three blocks, and the images that it learns from: quick enough to train many times."""

import numpy as np
import torch
from torch import nn

from models.imaging.backbones import Backbone, Classifier, channels_last, settle
from models.imaging.examples import Examples
from models.imaging.features import to_batch
from tests.domains.sample_images import picture

COUNT = 48
ROWS = np.arange(COUNT)


def images() -> np.ndarray:
    """uint8 (48, 32, 32, 3), dark discs and bright upright bars in turn."""
    grey = np.stack([picture(i % 2, i)[4:36, 4:36] // (2 - i % 2) for i in range(COUNT)])
    return np.repeat(grey[..., None], 3, axis=3)


def examples(targets: np.ndarray = ROWS % 2) -> Examples:
    """32 to train on, 16 for validation."""
    return Examples(images(), targets, ROWS[:32], ROWS[32:])


def net(outputs: int = 2) -> Classifier:
    """A base of random weights that has seen the images, under a head of zeros."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        blocks = [_block(3, 8), _block(8, 16), _block(16, 32)]
    end = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
    base = Backbone("resnet18", nn.Sequential(*blocks, end), 32, 3, [[b] for b in blocks], {})
    return Classifier(settle(channels_last(base), [to_batch(images())]), outputs)


def _block(before: int, after: int) -> nn.Sequential:
    conv = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU())
