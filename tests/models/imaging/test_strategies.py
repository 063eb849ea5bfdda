"""Strategies: what each leaves alone, what each adds, and that a new one is a file and a line."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from domains.metrics import auroc
from models.imaging import strategies
from models.imaging.backbones import BUILDERS, Classifier, build
from models.imaging.examples import Examples
from models.imaging.features import features
from models.imaging.head import fit_head
from models.imaging.strategies import STRATEGIES, make, settings_of
from models.imaging.strategies.gradual import thawed_by
from models.imaging.strategies.learned import Learned
from models.imaging.strategies.transfer import probe
from models.imaging.task import Task
from models.imaging.tuning import Tuning, logits
from models.training import FitHistory
from tests.models.imaging.sample_nets import ROWS, examples, images, net
from tests.models.interrupted import kills, same

TUNING = Tuning(epochs=2, batch_size=16, patience=9)
TRAINING = [name for name in STRATEGIES if name != "transfer"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def _moved(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    after = module.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


def _blocks(found: Classifier) -> list[set[str]]:
    """Names of every tensor and buffer of each block, as the backbone names them."""
    names = {id(module): name for name, module in found.backbone.named_modules()}
    return [
        {f"{names[id(m)]}.{inner}" for m in block for inner in m.state_dict()}
        for block in found.backbone.blocks
    ]


# What each strategy may move: the number of last blocks; None is the whole base.
LEFT_ALONE: list[tuple[str, dict[str, float], int, int]] = [
    ("transfer", {}, 1, 0),
    ("partial", {"blocks": 0}, 2, 0),
    ("partial", {"blocks": 2}, 2, 2),
    ("gradual", {}, 1, 0),  # its first epoch trains the head
    ("gradual", {"until": 2.0}, 2, 1),  # a quarter of three blocks, rounded up
    ("lp-ft", {}, 1, 3),
    ("l2-sp", {}, 1, 3),
    ("finetune", {}, 1, 3),
]


@pytest.mark.parametrize(
    ("blocks", "what"), [(2, "the last 2 of 3 blocks"), (3, "all 3 blocks"), (9, "all 3 blocks")]
)
def test_no_more_blocks_are_told_than_there_are(blocks: int, what: str) -> None:
    learned = make("partial", {"blocks": blocks})(net(), examples(), replace(TUNING, epochs=1))
    assert learned.what.startswith(f"{what} trained on, ")


@pytest.mark.parametrize("new_statistics", [False, True])
@pytest.mark.parametrize("average", [None, 0.9])
@pytest.mark.parametrize(("name", "settings", "epochs", "blocks"), LEFT_ALONE)
def test_what_is_frozen_is_bit_identical_tensors_and_buffers(
    name: str,
    settings: dict[str, float],
    epochs: int,
    blocks: int,
    average: float | None,
    new_statistics: bool,
) -> None:
    found = net()
    before, parts = _state(found.backbone), _blocks(found)
    tuning = Tuning(epochs, 9, 16, new_statistics=new_statistics, average=average)
    make(name, settings)(found, examples(), tuning)
    frozen = set().union(*parts[: len(parts) - blocks]) if blocks < len(parts) else set()
    moved = _moved(before, found.backbone)
    assert not moved & frozen
    if name == "gradual":  # its best epoch may be the first
        return
    assert any(n.endswith("weight") for n in moved) == bool(blocks)
    assert any("running" in n for n in moved) == (bool(blocks) and new_statistics)


# Of each base model: strategy, settings, epochs, and the number of last blocks it may move.
OF_BASES: list[tuple[str, dict[str, float], int, int]] = [
    ("transfer", {}, 1, 0),
    ("partial", {"blocks": 2}, 1, 2),
    ("gradual", {"until": 3.0}, 2, 3),  # a sixth of at most 18 blocks
    ("lp-ft", {}, 1, 99),
    ("l2-sp", {}, 1, 99),
    ("finetune", {}, 1, 99),
]


@pytest.mark.parametrize("base", BUILDERS)
@pytest.mark.parametrize(("name", "settings", "epochs", "blocks"), OF_BASES)
def test_of_every_base_model_nothing_frozen_moves_by_a_bit(
    base: str, name: str, settings: dict[str, float], epochs: int, blocks: int
) -> None:
    """Frozen are all layers below the last blocks, and the statistics of every layer."""
    found = Classifier(build(base, 32, seed=0), 2)
    before, parts = _state(found.backbone), _blocks(found)
    few = Examples(images()[:12], ROWS[:12] % 2, ROWS[:8], ROWS[8:12])
    make(name, settings)(found, few, Tuning(epochs, 9, 4))  # the first step moves the head alone
    moved = _moved(before, found.backbone)
    weights = {name for name, _ in found.backbone.named_parameters()}
    assert moved <= weights & set().union(*parts[max(len(parts) - blocks, 0) :], set())
    assert bool(moved) == bool(blocks) or name == "gradual"  # whose best epoch may be the first


@pytest.mark.parametrize("average", [None, 0.5])
@pytest.mark.parametrize("name", TRAINING)
def test_the_net_holds_the_weights_of_its_best_epoch(name: str, average: float | None) -> None:
    """Rates so large that training goes astray: the best epoch is not the last one."""
    found, seen = net(), examples(np.where(ROWS % 5, ROWS % 2, 1 - ROWS % 2))
    tuning = Tuning(9, 2, 8, learning_rate=0.3, average=average)
    history = make(name)(found, seen, tuning).history
    scores = [point["validation"] for point in history.history]
    assert history.best_epoch == scores.index(max(scores)) + 1 < history.epochs
    assert history.epochs in (history.best_epoch + 2, 9)  # patience, or all of them
    again = Task.of(seen.targets, seen.train).score(
        logits(found, images(), seen.validation), seen.validation
    )
    assert again == history.best


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("kind", ["classes", "labels", "values"])
def test_every_strategy_learns_every_kind_of_target(name: str, kind: str) -> None:
    one_hot = np.eye(2, dtype=np.int64)[ROWS % 2]
    targets: dict[str, np.ndarray] = {
        "classes": ROWS % 2,
        "labels": one_hot,
        "values": one_hot.astype(np.float32),
    }
    found, seen = net(), examples(targets[kind])
    learned = make(name)(found, seen, Tuning(12, 12, 8, learning_rate=1e-2))
    outputs = logits(found, images(), ROWS)
    assert outputs.shape == (len(ROWS), 2)
    assert np.isfinite(learned.history.best)
    told = outputs[seen.train, 1] - outputs[seen.train, 0]
    assert auroc(ROWS[seen.train] % 2, told) > 0.9


@pytest.mark.parametrize("average", [None, 0.9])
@pytest.mark.parametrize("name", TRAINING)
def test_a_training_killed_after_any_epoch_ends_as_if_it_was_not(
    name: str, average: float | None, tmp_path: Path
) -> None:
    tuning = Tuning(2, 9, 16, average=average)

    def trained(checkpoint: Any) -> Any:
        found = net()
        learned = make(name)(found, examples(), tuning, None, checkpoint)
        return found.state_dict(), learned.history.history

    whole, ends = trained(None), kills(trained, tmp_path)
    assert len(ends) == 2
    assert all(same(end[0], whole[0]) and end[1] == whole[1] for end in ends)


def test_transfer_is_the_best_head_on_frozen_features() -> None:
    found, seen = net(), examples()
    learned = make("transfer")(found, seen, TUNING)
    values = features(found.backbone, seen.images)
    head = fit_head(values, seen.targets, seen.train, seen.validation, 2)
    assert learned.outputs is not None
    assert np.allclose(learned.outputs, head.logits(values))
    assert np.allclose(found.head.weight.detach().numpy(), head.weight)


def test_lp_ft_starts_from_the_probe_and_at_no_larger_steps_than_the_base() -> None:
    found, seen = net(), examples()
    probe(found, seen, TUNING)
    start = _state(found.head)
    tuned = net()
    still = Tuning(1, 9, 16, learning_rate=1e-12)
    make("lp-ft")(tuned, seen, still)
    assert all(torch.allclose(start[n], t, atol=1e-6) for n, t in tuned.head.state_dict().items())


def test_no_pull_is_fine_tuning_and_a_strong_one_holds_the_base_where_it_was() -> None:
    plain, free, held = net(), net(), net()
    base = _state(plain.backbone)
    tuning = Tuning(2, 9, 16, weight_decay=0.0)
    make("finetune")(plain, examples(), tuning)
    make("l2-sp", {"pull": 0})(free, examples(), tuning)
    make("l2-sp", {"pull": 1e9})(held, examples(), tuning)
    assert same(plain.state_dict(), free.state_dict())
    assert not _moved(base, held.backbone)
    assert not torch.equal(held.head.weight, net().head.weight)


def test_a_pull_is_a_share_of_the_way_back_after_each_step() -> None:
    """One step of AdamW gives v; l2-sp ends it at v - rate · pull · (v - start)."""
    plain, pulled, start = net(), net(), net().backbone.state_dict()
    for each in (plain, pulled):  # a head of zeros would leave the base where it is
        nn.init.eye_(each.head.weight)
    tuning = Tuning(1, 9, len(ROWS), weight_decay=0.0)  # one batch, so one step
    pull = 200.0
    make("finetune")(plain, examples(), tuning)
    make("l2-sp", {"pull": pull})(pulled, examples(), tuning)
    blocks = [name.split(".")[1] for name in start]
    stepped, found = plain.backbone.state_dict(), pulled.backbone.state_dict()
    for name, block in zip(start, blocks, strict=True):
        below = 2 - int(block)  # blocks below the last one
        rate = tuning.learning_rate * tuning.base_rate * tuning.decay**below
        expected = stepped[name] - rate * pull * (stepped[name] - start[name])
        assert torch.allclose(found[name].float(), expected.float(), atol=1e-7)
        assert "weight" not in name or not torch.equal(stepped[name], start[name])
    assert same(plain.head.state_dict(), pulled.head.state_dict())


def test_a_pull_keeps_the_base_nearer_to_its_start() -> None:
    def distance(pull: float) -> float:
        found = net()
        start = [p.detach().clone() for p in found.backbone.parameters()]
        make("l2-sp", {"pull": pull})(found, examples(), Tuning(2, 9, 8))
        pairs = zip(start, found.backbone.parameters(), strict=True)
        return float(sum((a - b).square().sum() for a, b in pairs))

    assert distance(300.0) < 0.9 * distance(0.0)


def test_gradual_thaws_from_the_head_down_and_reaches_all() -> None:
    plan = [thawed_by(epoch, 10, 18, 0.5) for epoch in range(1, 11)]
    assert plan[0] == 0
    assert plan == sorted(plan)
    assert plan[5:] == [18] * 5
    assert [thawed_by(epoch, 2, 18, 0.5) for epoch in (1, 2)] == [0, 18]


def test_the_average_is_what_is_validated_and_kept() -> None:
    one, other = net(), net()
    make("finetune")(one, examples(), TUNING)
    make("finetune")(other, examples(), Tuning(2, 9, 16, average=0.99))
    assert not same(one.state_dict(), other.state_dict())
    start = _state(net().backbone)

    def far(found: Classifier) -> float:
        pairs = found.backbone.named_parameters()
        return float(sum((start[n] - p).abs().sum() for n, p in pairs))

    assert far(other) < far(one)


# ---------------------------------------------------------------------------------- the table


def test_a_new_strategy_is_one_file_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    file = ModuleType("models.imaging.strategies.guess")

    def guess(net: Any, examples: Any, tuning: Any, *_: Any, luck: float = 0.5) -> Learned:
        return Learned(f"guessed with luck {luck:g}", FitHistory(1, 1, luck, 0.0))

    file.guess = guess  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, file.__name__, file)
    monkeypatch.setitem(strategies.STRATEGIES, "guess", "guess")
    assert settings_of("guess") == {"luck": 0.5}
    assert make("guess", {"luck": 0.25})(None, None, None).what == "guessed with luck 0.25"


def test_every_strategy_has_a_small_file_of_its_own_with_one_signature() -> None:
    folder = Path(strategies.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "learned"}
    assert files == set(STRATEGIES.values())
    for file in files:
        text = (folder / f"{file}.py").read_text()
        assert len(text.splitlines()) < 100
        shared = (
            r"\n    net: Classifier,\n    examples: Examples,\n    tuning: Tuning,\n    progress: "
        )
        assert re.search(rf"def {file}\({shared}", text)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("magic", {}, "expected one of transfer, partial"),
        ("partial", {"k": 2}, "partial.k: no setting of partial, which has: blocks"),
        ("transfer", {"k": 2}, "which has: none"),
        ("partial", {"blocks": 1.5}, "expected a whole number from 0, found 1.5"),
        ("l2-sp", {"pull": -1}, "expected a number from 0, found -1"),
    ],
)
def test_an_unknown_strategy_or_setting_is_refused_in_one_line(
    name: str, settings: dict[str, float], said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make(name, settings)
