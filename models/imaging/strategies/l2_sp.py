"""L2-SP: fine-tuning on a leash, the weights pulled back to where they started."""

from __future__ import annotations

from typing import Any

import torch

from models.checkpoint import Checkpoint
from models.imaging.backbones import Classifier
from models.imaging.examples import Examples
from models.imaging.strategies.learned import Learned, epochs
from models.imaging.tuning import Tell, Tuning, tune


def l2_sp(
    net: Classifier,
    examples: Examples,
    tuning: Tuning,
    progress: Tell | None = None,
    checkpoint: Checkpoint | None = None,
    *,
    pull: float = 10.0,
) -> Learned:
    """Fine-tune all layers under the penalty pull/2 · ‖w - w₀‖² on the base's weights.

    Weight decay pulls to zero, which means nothing to a pretrained net; its own start does (Li,
    Grandvalet and Davoine, ICML 2018, arXiv:1802.01483). As AdamW does with weight decay, the
    penalty acts beside the adaptive step and not through it: after each step
    w ← w - rate · pull · (w - w₀). The base has no weight decay, the head keeps it. See
    `models.imaging.tuning.tune` for the other arguments.

    Args:
        pull: Strength; 0 is fine-tuning without weight decay of the base.
    """
    start = {id(p): p.detach().clone() for p in net.backbone.parameters()}

    def back(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        with torch.no_grad():
            for group in optimizer.param_groups[1:]:
                share = min(group["lr"] * pull, 1.0)
                for weight in group["params"]:
                    weight.lerp_(start[id(weight)], share)

    def steer(optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups[1:]:  # the first one is the head's
            group["weight_decay"] = 0.0
        optimizer.register_step_post_hook(back)

    history = tune(net, examples, tuning, progress, checkpoint, steer=steer)
    what = f"all layers trained on, pulled to the base's weights (strength {pull:g})"
    return Learned(f"{what}, {epochs(history)}", history)
