"""Transfer against what it replaces: one forward pass, and a loop that forwards the frozen base.

    make bench-imaging ARGS="--quick --json out.json"

Both sides run in this process, on the same made-up images, base, threads and precision, one after
the other in turn; medians of five or more repeats are compared and their range stands beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in a run; read when torch is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import nn

from models.imaging.backbones import Backbone, Classifier, build, freeze, settle
from models.imaging.features import features, to_batch
from models.imaging.head import fit_head
from models.imaging.precision import has_bf16

EPOCHS = 10
BATCH = 128


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="500 images, five repeats")
    parser.add_argument("--json", type=Path, help="write machine and rows to this file")
    asked = parser.parse_args()
    count, repeats = (500, 5) if asked.quick else (2000, 7)
    rows = [row for size in (48, 64) for row in measure(count, size, repeats)]
    show(rows)
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2))


def measure(count: int, size: int, repeats: int) -> list[dict[str, Any]]:
    """The rows of one image size."""
    images, labels = made_up(count, size)
    base = settle(build("efficientnet-lite0", size, seed=0), [to_batch(images[:256])])
    freeze(base)
    sides: dict[str, Callable[[], Any]] = {
        "ours": lambda: transfer_stage(base, images, labels),
        "pass": lambda: features(base, images),
        "loop": lambda: plain_loop(base, images, labels),
    }
    seconds = timed(sides, repeats)
    what = f"EfficientNet-Lite0, {count} images of {size} × {size}"
    return [
        row(f"transfer stage against one forward pass, {what}", seconds, "pass", 1 / 1.3),
        row(f"{EPOCHS}-epoch probe against forwarding every epoch, {what}", seconds, "loop", 8.0),
    ]


def made_up(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a square that is brighter in one class than in the other."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = rng.integers(0, 120, (count, size, size, 3), dtype=np.uint8)
    images[:, 10:20, 10:20] += (labels * 20).astype(np.uint8)[:, None, None, None]
    return images, labels


def transfer_stage(base: Backbone, images: np.ndarray, labels: np.ndarray) -> None:
    """Features once, and the head's whole path of penalties."""
    values = features(base, images)
    rows = np.arange(len(images))
    fit_head(values, labels, rows[rows % 5 > 0], rows[rows % 5 == 0], 2)


def plain_loop(base: Backbone, images: np.ndarray, labels: np.ndarray) -> None:
    """What a tutorial does: train a head for some epochs, the frozen base run every time."""
    net = Classifier(base, 2)
    freeze(net.backbone)
    optimizer = torch.optim.Adam(net.head.parameters(), lr=1e-3)
    target = torch.from_numpy(labels)
    for _ in range(EPOCHS):
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()), torch.no_grad():
                values = net.backbone(to_batch(images[part])).float()
            loss = nn.functional.cross_entropy(net.head(values), target[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def timed(sides: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Wall seconds of each side, taken in turn so that a busy minute hits all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(repeats + 1):
        for name, run in sides.items():
            started = time.perf_counter()
            run()
            if turn:  # the first turn warms up
                seconds[name].append(time.perf_counter() - started)
    return seconds


def row(what: str, seconds: dict[str, list[float]], peer: str, goal: float) -> dict[str, Any]:
    """One line of the contract; the ratio's range is that of the turns."""
    ours, theirs = seconds["ours"], seconds[peer]
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    ratio = statistics.median(theirs) / statistics.median(ours)
    return {
        "what": what,
        "ours": round(statistics.median(ours), 4),
        "peer": round(statistics.median(theirs), 4),
        "unit": "s",
        "ratio": round(ratio, 3),
        "goal": round(goal, 3),
        "met": ratio >= goal,
        "low": round(min(ratios), 3),
        "high": round(max(ratios), 3),
    }


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "bf16": has_bf16(),
    }


def show(rows: list[dict[str, Any]]) -> None:
    """The rows as a table."""
    print(f"{'ours':>8} {'peer':>8} {'ratio':>7} {'low':>6} {'high':>6} {'goal':>6} met  what")
    for each in rows:
        print(
            f"{each['ours']:8.3f} {each['peer']:8.3f} {each['ratio']:7.2f} {each['low']:6.2f} "
            f"{each['high']:6.2f} {each['goal']:6.2f} {'yes' if each['met'] else 'no ':3}  "
            f"{each['what']}"
        )


if __name__ == "__main__":
    main()
