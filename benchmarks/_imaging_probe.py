"""A linear probe against a loop that forwards its frozen base every epoch, and against one pass."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from benchmarks._imaging_images import made_up, seconds
from benchmarks._rows import Row, smaller_is_better
from models.imaging.backbones import Backbone, Classifier, build, freeze, settle
from models.imaging.examples import Examples
from models.imaging.features import features, to_batch
from models.imaging.precision import half
from models.imaging.strategies import make
from models.imaging.tuning import Tuning

IMAGES, EPOCHS, BATCH = 1000, 10, 128


def rows(repeats: int, sizes: tuple[int, ...]) -> list[Row]:
    """Two rows an image size: the whole strategy `transfer` against a loop, and against a pass."""
    return [row for size in sizes for row in _of_size(size, repeats)]


def _of_size(size: int, repeats: int) -> list[Row]:
    images, labels = made_up(IMAGES, size)
    base = settle(build("efficientnet-lite0", size, seed=0), [to_batch(images[:256])])
    freeze(base)
    rows_of = np.arange(IMAGES)
    examples = Examples(images, labels, rows_of[rows_of % 5 > 0], rows_of[rows_of % 5 == 0])
    learn = make("transfer")
    took = seconds(
        {
            "ours": lambda: learn(Classifier(base, 2), examples, Tuning(EPOCHS)),
            "pass": lambda: features(base, images),
            "loop": lambda: plain_loop(base, images, labels),
        },
        repeats,
    )
    what = f"EfficientNet-Lite0, {IMAGES} images of {size} × {size}"
    against_loop = f"probe against forwarding {EPOCHS} epochs, {what}"
    against_pass = f"probe against one forward pass, {what}"
    return [
        smaller_is_better(against_loop, "s", took["ours"], took["loop"], 8.0),
        smaller_is_better(against_pass, "s", took["ours"], took["pass"], 1 / 1.2),
    ]


def plain_loop(base: Backbone, images: np.ndarray, labels: np.ndarray) -> None:
    """What a tutorial does: train a head for some epochs, the frozen base run every time."""
    net = Classifier(base, 2)
    freeze(net.backbone)
    optimizer = torch.optim.Adam(net.head.parameters(), lr=1e-3)
    target = torch.from_numpy(labels)
    halved = half(base.name, "auto", training=False)
    for _ in range(EPOCHS):
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            with torch.autocast("cpu", torch.bfloat16, enabled=halved), torch.no_grad():
                values = net.backbone(to_batch(images[part])).float()
            loss = nn.functional.cross_entropy(net.head(values), target[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
