"""Record-level DP-SGD at one owner: clip each record's gradient, add noise, step.

Abadi et al., "Deep learning with differential privacy" (CCS 2016), through Opacus, whose ghost
clipping finds the norms without holding every record's gradient in memory. One step takes
each record with the plan's sampling rate, sums the gradients clipped to norm C, adds N(0, (σC)²)
from the operating system to every coordinate and divides by the expected batch, a public number.
Unit: one record, added or removed. The ε of the whole job is the plan's; this file spends it, once
for each call, and has no accountant of its own: one rebuilt each round would forget the others.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from opacus.grad_sample import GradSampleHooksFastGradientClipping
from opacus.optimizers import DPOptimizerFastGradientClipping
from torch import Tensor, nn
from torch.nn import functional

from domains.errors import InputError
from privacy import noise
from privacy.plan import PrivacyPlan, Schedule

Loss = Callable[[Tensor, Tensor], Tensor]

_PIECE_NUMBERS = 1 << 24  # per-record gradients held at once, where a layer needs them: 64 MB

# The hooks want gradients at a layer's outputs, of inputs that need none: that is meant.
warnings.filterwarnings("ignore", message="Full backward hook is firing")


def mean_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean binary cross-entropy of logits, shape (n,) or (n, 1), against 0/1 targets (n,)."""
    return functional.binary_cross_entropy_with_logits(logits.reshape(target.shape), target)


def local_update(
    model: nn.Module,
    features: Tensor,
    target: Tensor,
    *,
    plan: PrivacyPlan,
    expected_batch: float,
    learning_rate: float,
    loss: Loss = mean_cross_entropy,
    momentum: float = 0.0,
) -> None:
    """One round at one owner: `plan.local_steps` noised steps, on the model in place.

    The updated parameters may leave the owner; nothing else that depends on the records does.

    Args:
        model: layers without statistics of their own (no BatchNorm); all trainable parameters used.
        features, target: the owner's training records, (n, …) and (n, …); n may be 0.
        plan: noise, clip norm, sampling rate and steps.
        expected_batch: sampling rate × the owner's public number of records.
        learning_rate, momentum: of SGD; the momentum starts anew with every call.
        loss: mean over records of a loss that takes each record by itself.

    Raises:
        InputError: the model has a layer that mixes records, or the expected batch is not positive.
    """
    _check(model, expected_batch)
    with _per_record_norms(model, plan.clip_norm) as hooks:
        inner = torch.optim.SGD(_trainable(model), lr=learning_rate, momentum=momentum)
        optimizer = SystemNoiseOptimizer(
            inner,
            noise_multiplier=plan.noise_multiplier,
            max_grad_norm=plan.clip_norm,
            expected_batch_size=expected_batch,
        )
        for _ in range(plan.local_steps):
            drawn = noise.bernoulli(len(features), plan.sampling_rate)
            chosen = torch.from_numpy(np.flatnonzero(drawn)).to(features.device)
            _noised_step(model, hooks, optimizer, (features[chosen], target[chosen]), loss)


def plain_update(
    model: nn.Module,
    features: Tensor,
    target: Tensor,
    *,
    plan: Schedule | None,
    expected_batch: float,
    learning_rate: float,
    loss: Loss = mean_cross_entropy,
    momentum: float = 0.0,
) -> None:
    """`local_update` without clipping and noise: the control, or a job without privacy.

    Takes the same sampling rate and steps from the plan (a `Schedule` is enough; without any, one
    step on all records). Samples with torch's seeded generator, so that a run can be repeated.
    """
    _check(model, expected_batch)
    schedule = plan or Schedule(rounds=1, local_steps=1, sampling_rate=1.0)
    optimizer = torch.optim.SGD(_trainable(model), lr=learning_rate, momentum=momentum)
    with _training_mode(model):
        for _ in range(schedule.local_steps):
            drawn = torch.rand(len(features)) < schedule.sampling_rate
            optimizer.zero_grad()
            for x, y in _pieces(model, features[drawn], target[drawn]):
                (loss(model(x), y) * (len(x) / expected_batch)).backward()
            optimizer.step()
    _forget(model)


class SystemNoiseOptimizer(DPOptimizerFastGradientClipping):
    """Opacus' optimiser with noise from the operating system."""

    def add_noise(self) -> None:
        """Add N(0, (noise multiplier × clip norm)²) to every coordinate of the clipped sum."""
        sigma = self.noise_multiplier * self.max_grad_norm
        for parameter in self.params:
            drawn = torch.from_numpy(noise.gaussian(tuple(parameter.shape), sigma))
            parameter.grad = parameter.summed_grad + drawn.to(parameter)


def _noised_step(
    model: nn.Module,
    hooks: GradSampleHooksFastGradientClipping,
    optimizer: SystemNoiseOptimizer,
    sample: tuple[Tensor, Tensor],
    loss: Loss,
) -> None:
    """One step on one sample of records, in as many pieces as memory asks for; none is left out.

    An empty sample makes one empty piece: a step that drew nobody must look like any other.
    """
    pieces = list(_pieces(model, *sample)) or [sample]
    for number, (x, y) in enumerate(pieces, start=1):
        optimizer.zero_grad(set_to_none=True)
        _clipped_sum(model, hooks, x, y, loss)
        optimizer.signal_skip_step(number < len(pieces))
        optimizer.step()


def _clipped_sum(
    model: nn.Module,
    hooks: GradSampleHooksFastGradientClipping,
    x: Tensor,
    y: Tensor,
    loss: Loss,
) -> None:
    """Leave the sum over records of gradients clipped to norm C in each parameter's `grad`.

    Two passes back from the outputs (Li et al., "Large language models can be strong
    differentially private learners", ICLR 2022): the first for each record's norm, the second with
    each record scaled. A record whose gradient is not finite is left out, which changes the sum by
    no more than any record may; in the sum it would give itself away.
    """
    if len(x) == 0:
        for parameter in _trainable(model):
            parameter.grad = torch.zeros_like(parameter)
        return
    hooks.enable_hooks()
    outputs = model(x)
    (slopes,) = torch.autograd.grad(loss(outputs, y) * len(x), outputs)
    outputs.backward(slopes, retain_graph=True)
    hooks.disable_hooks()
    model.zero_grad(set_to_none=True)
    finite = torch.isfinite(hooks.get_norm_sample())
    if not bool(finite.all()):
        return _clipped_sum(model, hooks, x[finite], y[finite], loss)
    scale = hooks.get_clipping_coef().reshape(-1, *(1 for _ in slopes.shape[1:]))
    outputs.backward(scale * slopes)
    return None


def _pieces(model: nn.Module, x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    size = max(1, _PIECE_NUMBERS // sum(p.numel() for p in _trainable(model)))
    for start in range(0, len(x), size):
        yield x[start : start + size], y[start : start + size]


@contextmanager
def _per_record_norms(
    model: nn.Module, clip_norm: float
) -> Iterator[GradSampleHooksFastGradientClipping]:
    """Opacus' hooks on the model, and afterwards no trace of what they saw: the sums that clipping
    leaves on the parameters carry no noise yet."""
    hooks = GradSampleHooksFastGradientClipping(
        model, loss_reduction="sum", max_grad_norm=clip_norm
    )
    try:
        with _training_mode(model):
            yield hooks
    finally:
        hooks.cleanup()
        for module in model.modules():
            module.__dict__.pop("activations", None)
        _forget(model)


@contextmanager
def _training_mode(model: nn.Module) -> Iterator[None]:
    before = {module: module.training for module in model.modules()}
    model.train()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


def _forget(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.grad = None
        for name in ("grad_sample", "summed_grad", "_norm_sample", "_forward_counter"):
            parameter.__dict__.pop(name, None)


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _check(model: nn.Module, expected_batch: float) -> None:
    if not 0.0 < expected_batch < math.inf:
        raise InputError(f"expected_batch: found {expected_batch}, expected a positive number")
    for name, module in model.named_modules():
        if any(True for _ in module.buffers(recurse=False)):
            raise InputError(
                f"layer {name} ({type(module).__name__}) keeps statistics of the records, which "
                "no noise covers; use GroupNorm or LayerNorm under privacy"
            )
