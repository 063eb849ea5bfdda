"""Learning many outcomes at once from records that have labels for only some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from domains.healthcare.outcomes.codec import Codec
from models.checkpoint import Checkpoint
from models.inference import batches
from models.multitask.gradients import cosines
from models.multitask.masked import Masked, Records
from models.multitask.named import balance, check_pair, network
from models.multitask.shape import Shape
from models.multitask.sharing.network import Network
from models.training import FitHistory, fit

Progress = Callable[[str], None]
_LEAST_STEPS = 12
_COMPARED = 512  # training records whose gradients are compared


@dataclass(frozen=True)
class Recipe:
    """How a network is built and trained.

    Attributes:
        sharing: A name of `models.multitask.named.SHARING`.
        hidden: Width of each hidden layer.
        epochs: At most this many.
        patience: Epochs without improvement on validation before stopping.
        seed: Initial weights, order of records, dropout.
        balancing: A name of `models.multitask.named.BALANCING`.
        trunk: A name of `models.multitask.trunk.TRUNKS`.
        members: Members of the ensemble that a trunk `tabm` is.
        settings: What the way of sharing alone takes.
        groups: Outcomes that share with each other, for sharing `groups`.
        batch_size: Records a step; fewer where that leaves less than a dozen steps an epoch.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
    """

    sharing: str
    hidden: int
    epochs: int
    patience: int
    seed: int
    balancing: str = "equal"
    trunk: str = "mlp"
    members: int = 1
    settings: Mapping[str, float] = field(default_factory=dict)
    groups: tuple[tuple[str, ...], ...] = ()
    batch_size: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2


@dataclass(frozen=True)
class Learned:
    """What `train` made.

    Attributes:
        network: In eval mode.
        shape: It is built from.
        histories: One an independent part.
        cosines: Between the outcomes' gradients on what they share, after the epochs of `compared`,
            (epochs, m, m) float32; NaN between outcomes that share nothing; no epochs where none
            do.
    """

    network: Network
    shape: Shape
    histories: list[FitHistory]
    cosines: np.ndarray

    @property
    def compared(self) -> tuple[int, ...]:
        """Epochs after which gradients were compared: 1, 2, 4, 8 and so on, up to the best one.

        Each comparison costs as many passes backwards as there are outcomes.
        """
        return tuple(2**number for number in range(len(self.cosines)))


def train(
    recipe: Recipe,
    codecs: Mapping[str, Codec],
    training: Records,
    validation: Records,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Learned:
    """Build a network and train each of its independent parts, with early stopping.

    The losses that are balanced are each outcome's mean over its labelled records: how many labels
    an outcome has does not change its say.

    Args:
        recipe: How the network is built and trained.
        codecs: By outcome.
        training, validation: Records to learn from, and those that decide when to stop.
        progress: Receives one line an epoch.
        checkpoint: A part of it for every independent part: a training that was killed goes on
            with the part and the epoch that it had reached.

    Raises:
        InputError: Sharing or balancing is unknown, or the one does not go with the other.
    """
    check_pair(recipe.sharing, recipe.balancing)
    torch.set_num_threads(1)  # for nets this small more threads are slower
    torch.manual_seed(recipe.seed)
    shape = shape_of(recipe, codecs, training)
    made = network(recipe.sharing, shape)
    data = Masked.of(training, validation, codecs)
    kept = checkpoint.of(recipe, dict(shape.sizes), len(training.x)) if checkpoint else None
    histories, found, parts = [], [], made.independent()
    for number, part in enumerate(parts):
        own = kept.part(number) if kept else None
        history, angles = _fit(part, recipe, data, progress, own)
        histories.append(history)
        found.append(angles)
    return Learned(made.eval(), shape, histories, _joined(found, parts, made.names))


def _joined(found: list[np.ndarray], parts: list[Network], names: tuple[str, ...]) -> np.ndarray:
    """Cosines of all outcomes (epochs, m, m), up to the epoch that every part reached."""
    epochs = min((len(angles) for angles in found if len(angles)), default=0)
    whole = np.full((epochs, len(names), len(names)), np.nan, dtype=np.float32)
    whole[:, range(len(names)), range(len(names))] = 1.0
    for angles, part in zip(found, parts, strict=True):
        places = [names.index(name) for name in part.names]
        if len(angles):
            whole[np.ix_(range(epochs), places, places)] = angles[:epochs]
    return whole


def shape_of(recipe: Recipe, codecs: Mapping[str, Codec], records: Records) -> Shape:
    """What a recipe builds for some outcomes and records."""
    sizes = {name: codec.size for name, codec in codecs.items()}
    return Shape(
        inputs=records.x.shape[1],
        sizes=sizes,
        hidden=recipe.hidden,
        trunk=recipe.trunk,
        members=recipe.members if recipe.trunk != "mlp" else 1,
        numbers=records.numbers,
        settings=recipe.settings,
        proportional=tuple(n for n, codec in codecs.items() if proportional(codec)),
        groups=recipe.groups,
    )


def proportional(codec: Codec) -> bool:
    """Whether an outcome's hazards are to be proportional to a baseline."""
    return codec.outcome.kind == "survival" and codec.outcome.head == "cox"


class _Learning(nn.Module):
    """A network with what learns and is kept beside it: its balance, and angles between gradients.

    Args:
        part: An independent part of the network.
        recipe: How it is trained.
    """

    def __init__(self, part: Network, recipe: Recipe) -> None:
        super().__init__()
        self.part, count = part, len(part.names)
        self.balance = balance(recipe.balancing, count)
        epochs = recipe.epochs.bit_length() if part.shared() else 0
        self.angles: Tensor
        self.register_buffer("angles", torch.full((epochs, count, count), torch.nan))

    def total(self, losses: Tensor) -> Tensor:
        """One loss of the outcomes' (m,)."""
        total: Tensor = self.balance(losses, self.part) if len(losses) > 1 else losses.sum()
        penalty = self.part.penalty()
        return total if penalty is None else total + penalty


def _fit(
    part: Network,
    recipe: Recipe,
    data: Masked,
    progress: Progress | None,
    checkpoint: Checkpoint | None,
) -> tuple[FitHistory, np.ndarray]:
    learning = _Learning(part, recipe).train()
    optimizer = torch.optim.AdamW(
        learning.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    compared = torch.arange(min(_COMPARED, len(data.train_x)))
    draw = shuffled(len(data.train_x), recipe)
    reached = 0

    def batches(epoch: int) -> Iterator[Tensor]:
        nonlocal reached
        reached = epoch
        return draw(epoch)

    def validate(_: nn.Module) -> float:
        if len(learning.angles) and reached.bit_count() == 1:
            with torch.enable_grad():
                place = reached.bit_length() - 1
                learning.angles[place] = cosines(data.losses(part, compared), part)
        return data.score(part)

    def loss(_: nn.Module, rows: Tensor) -> Tensor:
        return learning.total(data.losses(part, rows))

    limits = (recipe.epochs, recipe.patience)
    history = fit(learning, batches, loss, validate, optimizer, *limits, progress, checkpoint)
    return history, learning.angles[: history.best_epoch.bit_length()].numpy()


def logits(network: nn.Module, x: np.ndarray) -> dict[str, np.ndarray]:
    """Logits (n, size) of every outcome, the mean of its members', float64."""
    torch.set_num_threads(1)
    network.eval()
    parts: dict[str, list[np.ndarray]] = {}
    with torch.inference_mode():
        for batch, rows in batches(x):
            for name, values in network(batch).items():
                parts.setdefault(name, []).append(values[:rows].double().mean(dim=1).numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}


def shuffled(count: int, recipe: Recipe) -> Callable[[int], Iterator[Tensor]]:
    """Epoch number → shuffled row numbers in batches, the same for the same seed.

    Batches are of equal size, give or take a record: a remainder of a few records would take a
    full step in a direction of its own, every epoch.
    """
    steps = max(-(-count // recipe.batch_size), min(_LEAST_STEPS, count))

    def of(epoch: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(recipe.seed * 100_003 + epoch)
        order = torch.randperm(count, generator=generator)
        yield from order.tensor_split(steps)

    return of
