"""Many outcomes, few labels each: what masks, sharing and heads promise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_poisson_deviance

from domains.healthcare.outcomes.codec import Codec
from domains.metrics import METRICS
from models.multitask.boosting import boost
from models.multitask.heads import LOSSES, answer, count_loss, hazard_loss
from models.multitask.learning import Recipe, logits, shape_of, shuffled, train
from models.multitask.masked import Masked, Records
from models.multitask.named import SHARING, network
from models.multitask.shape import Shape
from tests.domains.sample_patients import EVERY_KIND
from tests.models import sample_outcomes

RECIPE = Recipe("hard", hidden=16, epochs=15, patience=15, seed=0, learning_rate=5e-3)


@pytest.fixture(scope="module")
def codecs() -> dict[str, Codec]:
    return sample_outcomes.codecs()


@pytest.fixture(scope="module")
def records() -> tuple[Records, Records]:
    return sample_outcomes.records()


def _dense(records: Records) -> np.ndarray:
    """Features (n, d) of records that are not coded."""
    assert isinstance(records.x, np.ndarray)
    return records.x


def _scores(
    codecs: dict[str, Codec], out: dict[str, np.ndarray], truth: Records
) -> dict[str, float]:
    found = {}
    for name, codec in codecs.items():
        p, y = answer(codec, out[name]), truth.y[name]
        rows = ~np.isnan(y.reshape(len(y), -1)).any(axis=1)
        if codec.outcome.kind == "ordinal":
            found[name] = METRICS["ordering"](y[rows, 0], codec.decode(p)[rows, 0])
        elif codec.outcome.kind == "count":
            found[name] = METRICS["d2"](y[rows], np.exp(p[rows]))
        elif codec.outcome.kind == "survival":
            order = np.column_stack([2 * y[:, 0] + 1 - y[:, 1], y[:, 1]])
            found[name] = METRICS["cindex"](order[rows], codec.decode(p)[rows, 0])
        else:
            found[name] = METRICS[codec.outcome.metric](y[rows], p[rows])
    return found


@pytest.mark.parametrize("sharing", SHARING)
def test_every_kind_of_outcome_is_learned(
    sharing: str, codecs: dict[str, Codec], records: tuple[Records, Records]
) -> None:
    learned = train(replace(RECIPE, sharing=sharing), codecs, *records)
    found = _scores(codecs, logits(learned.network, _dense(records[1])), records[1])
    assert found["death"] > 0.8
    assert found["place"] > 0.75
    assert found["stay"] > 0.2
    assert found["survival"] > 0.58
    assert found["relapse"] > 0.58
    assert found["grade"] > 0.75
    assert found["falls"] > 0.15
    assert len(learned.histories) == (len(codecs) if sharing == "none" else 1)


def test_the_same_seed_gives_the_same_network(
    codecs: dict[str, Codec], records: tuple[Records, Records]
) -> None:
    recipe = replace(RECIPE, epochs=2)
    first, second = (train(recipe, codecs, *records).network.state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_unlabelled_records_have_no_say(
    codecs: dict[str, Codec], records: tuple[Records, Records]
) -> None:
    """Whatever the features of records without any label, the network is the same."""
    training, validation = records
    y = {name: values.copy() for name, values in training.y.items()}
    for values in y.values():
        values[::2] = np.nan
    noisy = _dense(training).copy()
    noisy[::2] = 1e3
    recipe = replace(RECIPE, epochs=2)
    plain = train(recipe, codecs, Records(training.x, y), validation).network
    other = train(recipe, codecs, Records(noisy, y), validation).network
    for a, b in zip(plain.parameters(), other.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_an_outcome_with_few_labels_does_not_drown(
    codecs: dict[str, Codec], records: tuple[Records, Records]
) -> None:
    training, validation = records
    y = dict(training.y)
    y["stay"] = np.where(np.arange(900) < 90, y["stay"], np.nan)
    learned = train(replace(RECIPE, epochs=40), codecs, Records(training.x, y), validation)
    assert _scores(codecs, logits(learned.network, _dense(validation)), validation)["stay"] > 0.1


@pytest.mark.parametrize("few", [outcome.name for outcome in EVERY_KIND])
def test_how_many_labels_an_outcome_has_does_not_change_its_say(
    few: str, codecs: dict[str, Codec], records: tuple[Records, Records]
) -> None:
    """Of ten copies of each record one or all have its label: losses, gradients and what decides
    when to stop are the same, so that neither does it drown nor do the others rule."""

    def copies(part: Records, every: bool) -> Records:
        y = {name: np.concatenate([values[:300]] * 10) for name, values in part.y.items()}
        y[few][300 if not every else 3000 :] = np.nan
        return Records(np.concatenate([_dense(part)[:300]] * 10), y)

    torch.manual_seed(0)
    part = network("hard", shape_of(RECIPE, codecs, records[0])).eval()
    found = []
    for every in (True, False):
        data = Masked.of(copies(records[0], every), copies(records[1], every), codecs)
        losses = data.losses(part, torch.arange(3000))
        part.zero_grad()
        losses.sum().backward()
        gradient = torch.cat([p.grad.flatten() for p in part.parameters() if p.grad is not None])
        found.append((losses.detach(), gradient, data.score(part)))
    (all_, gradients, score), (some, theirs, other) = found
    assert torch.allclose(all_, some, rtol=1e-4)
    assert torch.allclose(gradients, theirs, rtol=1e-3, atol=1e-5)
    assert score == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize("labels", ["one near the mean", "all no", "none"])
def test_an_outcome_with_next_to_no_validation_labels_does_not_decide_when_to_stop(
    labels: str, codecs: dict[str, Codec], records: tuple[Records, Records]
) -> None:
    """What it says of a network lies within the range of what the others say."""
    training, validation = records
    y = {name: values.copy() for name, values in validation.y.items()}
    name = "death" if labels == "all no" else "stay"
    y[name][:] = 0.0 if labels == "all no" else np.nan
    if labels == "one near the mean":
        y[name][7] = 1e-3  # standard deviations of the training records
    data = Masked.of(training, Records(validation.x, y), codecs)
    whole = Masked.of(training, validation, codecs)
    assert data.scale[name] > 0.2 * whole.scale[name]
    assert {k: v for k, v in data.scale.items() if k != name} == {
        k: v for k, v in whole.scale.items() if k != name
    }
    torch.manual_seed(0)
    part = network("hard", shape_of(RECIPE, codecs, training)).eval()
    assert abs(data.score(part) - whole.score(part)) < 1.0


def test_single_task_networks_do_not_see_each_other(
    codecs: dict[str, Codec], records: tuple[Records, Records]
) -> None:
    """Scrambling one outcome's labels changes that outcome's network alone."""
    training, validation = records
    recipe = replace(RECIPE, sharing="none", epochs=3)
    scrambled = {**training.y, "survival": training.y["survival"][::-1].copy()}
    plain, other = (
        logits(
            train(recipe, codecs, Records(training.x, y), validation).network, _dense(validation)
        )
        for y in (training.y, scrambled)
    )
    for name in ("death", "place", "stay", "grade", "falls", "relapse"):
        assert np.array_equal(plain[name], other[name])
    assert not np.array_equal(plain["survival"], other["survival"])


@pytest.mark.parametrize("count", [1, 7, 900, 5645])
def test_batches_hold_every_record_once_and_none_is_a_remainder(count: int) -> None:
    batches = shuffled(count, RECIPE)
    first, second = (torch.cat(list(batches(epoch))) for epoch in (1, 2))
    assert sorted(first.tolist()) == list(range(count))
    assert count == 1 or first.tolist() != second.tolist()
    sizes = {len(batch) for batch in batches(1)}
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= RECIPE.batch_size


def test_hazard_loss_is_the_likelihood_of_what_was_seen() -> None:
    hazard = torch.tensor([[0.1, 0.2, 0.3]] * 3)
    target = torch.tensor([[1.0, 1.0], [2.0, 0.0], [3.0, 0.0]])
    expected = -np.log([0.9 * 0.2, 0.9 * 0.8, 0.9 * 0.8 * 0.7])
    assert hazard_loss(torch.logit(hazard), target).numpy() == pytest.approx(expected, rel=1e-5)


def test_no_loss_falls_below_zero_however_good_the_answer() -> None:
    """Else learned weights of losses would grow without end."""
    counts = torch.tensor([0.0, 0.25, 1.0, 4.0, 30.0])
    exact = count_loss(torch.log(counts.clamp(min=1e-9))[:, None], counts)
    assert exact.abs().max() < 1e-4
    assert (count_loss(torch.randn(5, 1), counts) > 0).all()
    y, mu = np.array([0.0, 1.0, 7.0]), np.array([0.4, 2.0, 3.0])
    mine = count_loss(torch.log(torch.tensor(mu))[:, None], torch.tensor(y)).mean()
    assert 2 * mine.item() == pytest.approx(mean_poisson_deviance(y, mu))


def test_losses_are_one_a_record() -> None:
    targets = {"survival": torch.zeros(4, 2), "ordinal": torch.zeros(4, 2)}
    for kind, loss in LOSSES.items():
        assert loss(torch.zeros(4, 3), targets.get(kind, torch.zeros(4))).shape == (4,)


def test_boosting_answers_every_kind(
    codecs: dict[str, Codec], records: tuple[Records, Records]
) -> None:
    training, validation = records
    x = _dense(training).astype(float)
    x[:, 2] = np.nan  # a column without any value must not stop it
    out = {
        name: boost(
            codec,
            x,
            training.y[name],
            categorical=np.zeros(x.shape[1], bool),
            seed=0,
            rounds=20,
        ).logits(_dense(validation).astype(float))
        for name, codec in codecs.items()
    }
    assert {name: v.shape for name, v in out.items()} == {
        name: (900, codec.size) for name, codec in codecs.items()
    }
    found = _scores(codecs, out, validation)
    assert found["death"] > 0.8
    assert found["survival"] > 0.58
    assert found["grade"] > 0.75
    assert found["falls"] > 0.15


def test_proportional_hazards_stand_in_one_proportion_throughout() -> None:
    """Cox's promise: the cumulative hazards of two records have one ratio at every time."""
    torch.manual_seed(0)
    shape = Shape(5, {"time": 6}, 8, proportional=("time",))
    out = network("hard", shape).eval()(torch.randn(2, 5))["time"][:, 0].double()
    cumulative = -torch.log1p(-out.sigmoid())
    ratio = cumulative[0] / cumulative[1]
    assert torch.allclose(ratio, ratio[0].expand(6), rtol=1e-4)
    assert not torch.allclose(ratio, torch.ones(6, dtype=torch.float64), rtol=1e-2)


def test_levels_of_an_ordinal_outcome_share_out_all_probability(codecs: dict[str, Codec]) -> None:
    found = codecs["grade"].decode(np.array([[0.5, 0.5], [1.0, 0.3], [0.0, 0.0]]))
    assert found[:, 1:].tolist() == [[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert found[:, 0].tolist() == [0.75, 0.0, 2.0]
