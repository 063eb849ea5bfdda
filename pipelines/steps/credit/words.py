"""What the numbers of a credit run say, in plain sentences computed from them."""

from __future__ import annotations

from collections.abc import Mapping

from domains.metrics import Interval


def headline(auroc: Interval | None, clients: int, epsilon: float | None) -> str:
    """One sentence with the result in it."""
    how = f"ε = {epsilon:.2f} for each record" if epsilon is not None else "no privacy"
    if auroc is None:
        return f"Trained across {clients} clients, {how}; test metrics stay with their owners"
    interval = f"95 % interval {auroc.low:.3f} to {auroc.high:.3f}"
    return f"{clients} clients, {how}: test AUROC {auroc.value:.3f} ({interval})"


def proposal(model: str, gaps: Mapping[str, Interval]) -> list[str]:
    """How each other model stands to this one on validation records; last, which to set.

    Args:
        model: The configured one.
        gaps: Of each other one, trained beside it under the same ε: AUROC of the configured model
            minus its own, paired, on calibration records.
    """
    ahead = [other for other, gap in gaps.items() if gap.high < 0]
    best = min(ahead, key=lambda other: gaps[other].value, default=None)
    last = f"keep model: {model}" if best is None else f"set model: {best}"
    return [*(_beside(model, other, gap) for other, gap in gaps.items()), last]


def _beside(model: str, other: str, gap: Interval) -> str:
    if gap.low > 0:
        return f"{model} is ahead of {other} on validation by {_range(gap)}"
    if gap.high < 0:
        ahead = Interval(-gap.value, -gap.high, -gap.low)
        return f"{other} is ahead of {model} on validation by {_range(ahead)}"
    return (
        f"{model} and {other} cannot be told apart on validation: {model} minus {other} is "
        f"{_signed(gap)}"
    )


def cost_of_noise(gap: Interval) -> str:
    """Paired difference of the private model to the same schedule without clipping and noise."""
    return f"Noise: {_compared(gap, 'the same schedule without clipping and noise')}."


def cost_of_privacy(gap: Interval, private: bool) -> str:
    """Paired difference to federated training that is bound by no budget.

    Args:
        gap: The model minus that training.
        private: Whether the model paid for its steps; if not, its schedule alone differs.
    """
    what = "Privacy, its few steps among it" if private else "The schedule"
    return f"{what}: {_compared(gap, 'federated training without privacy until it is done')}."


def cost_of_federation(gap: Interval) -> str:
    """Paired difference of federated training to pooled records, neither private."""
    told = _compared(gap, "the same model on pooled records", "federated")
    return f"Walls between lenders: {told}, both trained without privacy until they are done."


def gain_of_federation(together: Interval, inside: Interval | None) -> str:
    """Paired difference to lenders' own models: inside lenders, or, where none has test records
    enough, over all records together, which rewards telling lenders apart too."""
    if inside is None:
        told = _compared(together, "models that each client trains alone")
        return f"Federation: {told}, over the records of all clients together."
    told = _compared(inside, "each client's own model, trained alone")
    return f"Federation: inside clients, on average, {told}."


def against(gap: Interval, what: str) -> str:
    """Paired difference to another control."""
    return f"{what[0].upper()}{what[1:]}: {_compared(gap, 'it')}, over all records."


def over_time(
    early: Interval, later: Interval, rates: tuple[float, float], boosting: Interval | None
) -> str:
    """What the random split hides: the model of earlier approvals on later ones."""
    text = (
        f"Over time: trained on earlier approvals and tested on later ones, AUROC is "
        f"{_shown(later)} where the random split says {early.value:.3f}, and the default rate went "
        f"from {rates[0]:.0%} to {rates[1]:.0%}"
    )
    if boosting is not None:
        text += f"; gradient boosting, pooled, falls to {_shown(boosting)} there"
    return text + "."


def limits(
    private: bool, public: bool, released: bool, builtin: bool, again: bool = False
) -> list[str]:
    """What the numbers do not cover."""
    said = [
        "Only approved loans are known: how refused applicants would have paid is not.",
        "Hyper-parameters are the configuration's; their defaults were tried on public data, on "
        "training and calibration records, outside this job.",
    ]
    if public:
        said.append(
            "The federated model takes the few steps its plan pays for; those alone, pooled and "
            "federated without privacy train until they are done, as their owners would. So the "
            "model's differences to them hold also what those few steps leave unlearned."
        )
    if private:
        said.append(
            "Noise comes from the operating system: a second run on the same records gives another "
            "model, and is charged again."
        )
    if again:
        said.append(
            "The run was killed and taken up again. What it may have noised twice was charged "
            "twice, and so its ε is above the plan's."
        )
    if private and not public:
        said.append(
            "No control was trained, for each would have to be charged; what privacy and "
            "federation cost or bring was not measured on these records, nor whether another "
            "model (scorecard, mlp or trees) would rank them better."
        )
    if not released:
        said.append(
            "Probabilities are not recalibrated, for that would tell of held-out records, which "
            "their owners have not released."
        )
    if builtin:
        said.append(
            "The loan's term is left out, because it is shortened by default and so gives it away; "
            "so is everything dated after approval."
        )
    return said


def _compared(gap: Interval, other: str, who: str = "the model") -> str:
    if gap.low > 0:
        verdict = "better than"
    elif gap.high < 0:
        verdict = "worse than"
    else:
        verdict = "not distinguishable from"
    return f"{who} is {verdict} {other} (AUROC {_signed(gap)})"


def _range(gap: Interval) -> str:
    return f"{gap.value:.3f} ({gap.low:.3f} to {gap.high:.3f})"


def _signed(gap: Interval) -> str:
    return f"{gap.value:+z.3f}; {gap.low:+z.3f} to {gap.high:+z.3f}"


def _shown(value: Interval) -> str:
    return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
