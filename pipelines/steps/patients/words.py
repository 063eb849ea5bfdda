"""What the patients flow found, in plain sentences computed from its numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from domains.healthcare.few import in_words, patients_in
from domains.healthcare.outcomes.codec import Codec
from domains.healthcare.outcomes.scores import MEAN, Comparison, ranked
from domains.healthcare.outcomes.targets import known
from domains.healthcare.patients import Cohort
from domains.metrics import Interval

METRIC_NAMES = {
    "auroc": "AUROC",
    "cindex": "C-index",
    "ordering": "ordering",
    "r2": "R²",
    "d2": "D²",
}
GROUPED = "grouped"
RIVALS = {
    "single-task": "its own single-task network",
    "boosting": "gradient boosting",
    GROUPED: "sharing within the proposed groups",
}
AGAINST = RIVALS | {"single-task": "single-task networks"}
_FEW = 20
_MASKED = 0.1


def main_keys(codecs: Mapping[str, Codec], comparison: Comparison, model: str) -> dict[str, str]:
    """Outcome → its main metric's key, for the outcomes that the test records can judge."""
    keys = {name: f"{name}.{codec.outcome.metric}" for name, codec in codecs.items()}
    return {name: key for name, key in keys.items() if key in comparison.values[model]}


def standing(gap: Interval) -> str:
    """Where a difference leaves the model: ahead, behind, or neither beyond its interval."""
    if gap.low > 0:
        return "ahead of"
    return "behind" if gap.high < 0 else "level with"


def headline(
    comparison: Comparison,
    model: str,
    rivals: list[str],
    outcomes: int,
    n: int,
    alone: Collection[str] = (),
) -> str:
    """One sentence with the result in it; of a network that answers all but those `alone`."""
    which = {"shared": "One network", "single-task": "A network each"}[model]
    what = f"{which} for {outcomes} outcome{'s' if outcomes > 1 else ''}"
    if alone:
        own = "models of their own" if len(alone) > 1 else "a model of its own"
        what += f", {len(alone)} of them answered by {own}"
    if MEAN not in comparison.values[model]:
        return f"{what}, on {n:,} test records."
    found = comparison.interval(model, MEAN)
    of = dict.fromkeys(key.rpartition(".")[2] for key in ranked(comparison.values[model]))
    measure = " and ".join(METRIC_NAMES[metric] for metric in of)
    text = f"{what}: mean {measure} {found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
    for rival in (rival for rival in rivals if rival != GROUPED):
        gap = comparison.difference(model, rival, MEAN)
        text += f", {gap.value:+.3f} against {AGAINST[rival]} ({gap.low:+.3f} to {gap.high:+.3f})"
    return f"{text}, on {n:,} test records."


def findings(
    comparison: Comparison,
    codecs: Mapping[str, Codec],
    model: str,
    rivals: list[str],
    alone: Mapping[str, str] | None = None,
) -> list[str]:
    """Who won and who lost: a count against each control, then a sentence an outcome.

    An outcome that is answered `alone`, by one of the rivals, is not compared with that one.
    """
    keys = main_keys(codecs, comparison, model)
    lines = [_count(comparison, keys, model, rival) for rival in rivals]
    for name, key in keys.items():
        value = comparison.values[model][key]
        text = f"{name}: {METRIC_NAMES[codecs[name].outcome.metric]} {value:.3f}"
        for rival in rivals:
            if alone and alone.get(name) == rival:
                text += f"; served by {RIVALS[rival]}"
                continue
            gap = comparison.difference(model, rival, key)
            text += f"; {standing(gap)} {RIVALS[rival]} ({_gap(gap)})"
            if rival == "single-task" and gap.high < 0:
                text += ", so sharing made it worse (interference)"
        lines.append(f"{text}.")
    return lines


def _gap(gap: Interval) -> str:
    return f"{gap.value:+.3f}, 95 % interval {gap.low:+.3f} to {gap.high:+.3f}"


def _count(comparison: Comparison, keys: Mapping[str, str], model: str, rival: str) -> str:
    places: dict[str, list[str]] = {"ahead of": [], "level with": [], "behind": []}
    for name, key in keys.items():
        places[standing(comparison.difference(model, rival, key))].append(name)
    won, level, lost = places.values()
    text = f"Against {AGAINST[rival]}: ahead on {_listed(won)}, behind on {_listed(lost)}"
    return f"{text}, and no difference beyond its interval on {_listed(level)}."


def _listed(names: list[str]) -> str:
    if len(names) < 2:
        return names[0] if names else "none"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def cost(seconds: Mapping[str, float]) -> list[str]:
    """What sharing saves in training."""
    if not {"shared", "single-task"} <= set(seconds) or not seconds["single-task"]:
        return []
    share = seconds["shared"] / seconds["single-task"]
    return [
        f"Training all outcomes together took {seconds['shared']:.1f} CPU seconds, "
        f"{share:.2f} times the {seconds['single-task']:.1f} of the single-task networks."
    ]


def limits(
    codecs: Mapping[str, Codec], test: Cohort, warnings: list[str], public: bool
) -> list[str]:
    """What a reader must not take from the numbers.

    Args:
        codecs: By outcome.
        test: Test records, whose features nobody asks for.
        warnings: What is known of the columns.
        public: Whether few of them may be counted.
    """
    lines = [*warnings, *_masked(codecs, test, public)]
    for name, codec in codecs.items():
        lines += _small(codec, test.targets.values[name], test.patients, public)
    logged = [name for name, codec in codecs.items() if codec.outcome.transform == "log1p"]
    if logged:
        lines.append(
            f"Amounts learned on a log scale ({', '.join(logged)}) have their R² on that scale, "
            "and come back as the typical value, not the mean: do not add them up."
        )
    return [
        *lines,
        "Every difference has its own 95 % interval; with many outcomes some will exclude zero "
        "by chance.",
        "Trained without differential privacy: keep the model where its records may be.",
        _package(public),
    ]


def _package(public: bool) -> str:
    """What the packed model holds of its training records in plain numbers."""
    if public:
        return (
            "The package holds quantiles of the training features, the smallest and the largest "
            "value among them, their categories, the share of records that have a value, and the "
            "values that boosted trees split at, if there are any."
        )
    return (
        "The package holds rounded quantiles of the training features, without the outermost, and "
        "the categories that at least five training patients have; of columns mostly known "
        "the share of records with a value, in steps of 5 %; of the outcomes it holds "
        "class names, rounded quantiles of event times, mean and spread."
    )


def _masked(codecs: Mapping[str, Codec], test: Cohort, public: bool) -> list[str]:
    """One sentence of all outcomes that many records have no label of."""
    told = []
    for name in codecs:
        rows = known(test.targets.values[name])
        without = 1.0 - float(rows.mean()) if len(rows) else 0.0
        if without > _MASKED:
            share = without if public else round(20 * without) / 20
            told.append(f"{name} on {_number(rows, test.patients, public)} ({share:.0%} without)")
    if not told:
        return []
    listed = ", ".join(told)
    return [f"Judged are test records with a label: {listed}. Those without may differ from them."]


def _small(codec: Codec, values: np.ndarray, patients: np.ndarray, public: bool) -> list[str]:
    """A sentence a class of which there are few test records."""
    rows, lines = known(values), []
    for label, which in _classes(codec, values).items():
        if (which & rows).sum() < _FEW:
            count = _number(which & rows, patients, public)
            lines.append(f"{codec.outcome.name}: only {count} test records are {label!r}.")
    return lines


def _number(which: np.ndarray, patients: np.ndarray, public: bool) -> str:
    return in_words(int(which.sum()), patients_in(patients[which]), public)


def _classes(codec: Codec, values: np.ndarray) -> dict[str, np.ndarray]:
    """Which records are of each class, (n,) bool; none where there are no classes."""
    if codec.outcome.kind in ("multiclass", "ordinal"):
        return {label: values == label for label in codec.classes}
    if codec.outcome.kind == "binary":
        return {"yes": values == 1, "no": values == 0}
    if codec.outcome.kind == "survival":
        return {"event": values[:, 1] == 1}
    return {}


def describe_labels(codec: Codec, values: np.ndarray) -> str:
    """What an outcome's labels look like, in a few words."""
    labels = values[known(values)]
    if codec.outcome.kind in ("count", "regression"):
        middle = np.median(labels.astype(float))
        return f"median {middle:,.3g}"
    if codec.outcome.kind == "survival":
        return f"{labels[:, 1].mean():.0%} events, median time {np.median(labels[:, 0]):,.3g}"
    if codec.outcome.kind == "binary":
        return f"{labels.mean():.0%} yes"
    return f"{len(codec.classes)} classes"
