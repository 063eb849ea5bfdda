"""Sentences that are the same in every report and card: what each pipeline is for, what is private.

They say what the code does; change them together.
"""

from dataclasses import dataclass


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

UNCOVERED_RELEASED = (
    "Metrics, calibration and thresholds: computed from held-out records that never trained, "
    "released because the owner allows it.",
)
UNCOVERED_KEPT = (
    "Calibration and thresholds: computed from held-out records that never trained. Metrics are "
    "not released, only the gate's yes or no.",
)
UNCOVERED = (
    "Each owner's number of records, and the schema, which are public.",
    "Hyper-parameters chosen outside the job, and the limits of floating-point noise.",
)
