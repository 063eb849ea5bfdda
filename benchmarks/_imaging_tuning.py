"""Fine-tuning with random views against a bare loop that has all its batches in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._imaging_images import made_up, seconds
from benchmarks._rows import Row, larger_is_better, smaller_is_better
from models.imaging.augment import augmenter
from models.imaging.backbones import Classifier, build, settle
from models.imaging.examples import Examples
from models.imaging.features import to_batch
from models.imaging.precision import half
from models.imaging.tuning import Tuning, rates, thaw, tune

SIZE, BATCH, SHARE = 64, 32, 5.0
NETS = ("efficientnet-lite0", "resnet18")


def rows(repeats: int, count: int) -> list[Row]:
    """Images a second, and what loading and augmenting take of it; two rows a net."""
    return [row for name in NETS for row in _of_net(name, repeats, count)]


def _of_net(name: str, repeats: int, count: int) -> list[Row]:
    images, labels = made_up(count, SIZE)
    net = Classifier(settle(build(name, SIZE, seed=0), [to_batch(images[:128])]), 2)
    whole = np.arange(count)
    examples = Examples(images, labels, whole, whole[:2])
    tuning = Tuning(1, batch_size=BATCH)
    took = seconds(
        {
            "ours": lambda: tune(net, examples, tuning),
            "bare": _bare_loop(net, images, labels, tuning),
            "views": lambda: _views(images),
        },
        repeats,
    )
    what = f"{name}, {count} images of {SIZE} × {SIZE}"
    speeds = {side: [count / each for each in times] for side, times in took.items()}
    return [
        larger_is_better(
            f"fine-tuning against a bare loop, {what}",
            "images/s",
            speeds["ours"],
            speeds["bare"],
            0.95,
        ),
        smaller_is_better(
            f"loading and augmenting, of an epoch of {what}",
            "s",
            took["views"],
            took["ours"],
            SHARE,
        ),
    ]


def _views(images: np.ndarray) -> None:
    """What an epoch loads and augments, without the net."""
    view = augmenter(SIZE, 0, silhouettes=False, epoch=1)
    for start in range(0, len(images), BATCH):
        view(to_batch(images[start : start + BATCH]))


def _bare_loop(
    net: Classifier, images: np.ndarray, labels: np.ndarray, tuning: Tuning
) -> Callable[[], None]:
    """An epoch over batches that are made before it is timed: the same net, rates, precision."""
    parts = range(0, len(images), BATCH)
    batches: list[tuple[Tensor, Tensor]] = [
        (to_batch(images[i : i + BATCH]), torch.from_numpy(labels[i : i + BATCH])) for i in parts
    ]
    halved = half(net.backbone.name, "auto", training=True)

    def epoch() -> None:
        thaw(net, None)
        net.fixed_statistics = True
        net.train()
        optimizer = torch.optim.AdamW(rates(net, tuning))
        for pixels, target in batches:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=halved):
                outputs = net(pixels)
            nn.functional.cross_entropy(outputs.float(), target).backward()
            optimizer.step()

    return epoch
