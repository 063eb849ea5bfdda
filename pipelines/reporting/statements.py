"""What every report and card says alike: what each pipeline is for, and what is private.

The sentences say what the code does; change them together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.reporting.wording import number


@dataclass(frozen=True)
class Story:
    """A pipeline for a person: the problem, the strategy, what its models are for and not for."""

    problem: str
    strategy: str
    use: str
    misuse: str


STORIES = {
    "imaging": Story(
        "A hospital has few labelled images",
        "Transfer learning and fine-tuning",
        "Ranking images by how likely a finding is, for research and for ordering a reading list "
        "that people still read in full.",
        "diagnosis, or any use on images from other devices, sites or patients than those tested "
        "here without testing there first. It is not a medical device.",
    ),
    "patients": Story(
        "Records carry many outcomes, most of them missing for most patients",
        "Multi-task learning",
        "Estimating several outcomes of a patient at once, for research and planning.",
        "deciding on the care of one patient. It is not a medical device, and estimates of death "
        "must not become a reason to withhold care.",
    ),
    "credit": Story(
        "Banks may not pool their borrowers",
        "Federated learning with differential privacy",
        "Ranking loan applications by the probability of default, beside a person's judgement.",
        "refusing credit by itself. Check the law on fair lending, the reasons given to "
        "applicants, and the results by protected group before any use.",
    ),
}

COVERED = (
    "Training records: each owner clips and noises its own updates before they leave.",
    "Every step of every round of every job on an owner's data, composed by privacy loss "
    "distributions.",
    "Whatever else looks at the values of training records (bins, categories, scaling): it has "
    "public bounds or is charged.",
)

_RELEASED = (
    "Metrics, calibration and thresholds: computed from held-out records that never trained, "
    "released because the owner allows it."
)
_KEPT = (
    "Calibration and thresholds: computed from held-out records that never trained. Metrics are "
    "not released, only the gate's yes or no."
)
_UNCOVERED = (
    "Each owner's number of records, and the schema, which are public.",
    "Hyper-parameters chosen outside the job, and the limits of floating-point noise.",
)


BUDGET = (
    "ε of this run holds at the run's δ; ε spent and ε granted at the δ of the grant, where the "
    "losses of several jobs compose to less than the sum of their ε."
)

ADDITIVE = (
    "The score adds features up and has no terms for pairs: what two of them mean together, which "
    "boosted trees can learn, it cannot say."
)

THIN = (
    "Under differential privacy every line carries noise. A value that few training records have, "
    "such as “empty” where nothing is missing, has points that may be noise alone."
)


def checking(privacy: Mapping[str, Any], run_id: str) -> list[str]:
    """How a reader tests the promise: the ledger against this run, and the code against its plan.

    An audit is named only where the run told the shape of its data, which it takes to run again.
    """
    ledger = privacy.get("ledger")
    said = []
    if isinstance(ledger, Mapping):
        said.append(
            "`careledger budget verify` holds the ledger against its entry "
            f"{ledger.get('length')}, which this run remembers, and tells whether it was edited, "
            "shortened or rewritten."
        )
    if privacy.get("shape") and run_id:
        said.append(
            f"`careledger audit {run_id}` trains this plan again, with the code that is installed, "
            "on made-up records: are σ, the number of noised steps and the clip as promised, and "
            "what do canaries give away? It does not attack the noise on bins and category lists. "
            "For few, sampled steps canaries prove no loss at all: their bound is then 0, which "
            "says nothing either way."
        )
    return said


def uncovered(released: bool) -> tuple[str, ...]:
    """What the promise of differential privacy leaves out of this run."""
    return (_RELEASED if released else _KEPT, *_UNCOVERED)


def unit(privacy: Mapping[str, Any]) -> str:
    """What is protected: `one loan`."""
    name = str(privacy.get("unit") or "record")
    return name if name.startswith("one ") else f"one {name}"


def owners(privacy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Owner, ε of this run, ε spent in all, ε granted; absent numbers are None.

    An owner's entry is the ε of this run, or a mapping that also knows the ledger's sums.
    """
    rows = []
    for owner, entry in (privacy.get("owners") or {}).items():
        known = entry if isinstance(entry, Mapping) else {"epsilon": entry}
        rows.append(
            {
                "owner": owner,
                "run": known.get("epsilon"),
                "spent": known.get("epsilon_spent", known.get("spent")),
                "granted": known.get("epsilon_granted", known.get("granted")),
            }
        )
    return rows


def alike(owners: Sequence[Mapping[str, Any]]) -> str:
    """One sentence for all owners where their budgets stand alike; empty where they do not.

    >>> alike([{"owner": x, "run": 3.0, "spent": 3.0, "granted": 9.0} for x in "ab"])
    'Each of the 2 owners has spent ε 3.00 of the 9.00 it granted, 3.00 of it in this run.'
    """
    told = {tuple(number(each[key], 2) for key in ("spent", "granted", "run")) for each in owners}
    if len(owners) < 2 or len(told) > 1:
        return ""
    spent, granted, run = told.pop()
    return (
        f"Each of the {len(owners)} owners has spent ε {spent} of the {granted} it granted, "
        f"{run} of it in this run."
    )


def plan(privacy: Mapping[str, Any]) -> dict[str, Any]:
    """The plan's remaining plain values (noise, sampling, rounds) and the ledger's head."""
    shown = ("unit", "epsilon", "delta", "owners", "release")
    ledger = privacy.get("ledger")
    head = {f"ledger {k}": v for k, v in ledger.items()} if isinstance(ledger, Mapping) else {}
    rest = {k: v for k, v in privacy.items() if k not in shown} | head
    return {k: v for k, v in rest.items() if isinstance(v, int | float | str)}
