"""What the model-risk pack is drawn from: each assumption beside what the run found about it."""

from __future__ import annotations

from pipelines.evidence import Evidence
from pipelines.reporting import wording

UNTESTED = "not tested by this run"


def assumptions(evidence: Evidence) -> list[tuple[str, str]]:
    """(what must hold for the model to be used, what this run shows of it), for a credit model.

    Where metrics are not released nothing is told but that; what no records can show is said too.
    """
    made = [
        ("Loans to come are like these.", _over_time(evidence)),
        ("The order of loans survives the noise of training.",
         _said(evidence, "Noise:", "Privacy and federation:", "Privacy")
         or _uncontrolled(evidence)),
        ("One shared model serves every client.",
         _said(evidence, "Joining, federated:") or _uncontrolled(evidence)),
        ("Probabilities mean what they say.", _calibrated(evidence)),
        ("Features add up, with no terms for pairs." if evidence.scorecard
         else "The form of the model fits these loans.",
         _said(evidence, "Gradient boosting") or _uncontrolled(evidence)),
        ("What is named as a reason raises the risk.", _said(evidence, "Reasons:") or UNTESTED),
        ("Groups that the law protects are served alike.", _fair(evidence)),
    ]  # fmt: skip
    if not evidence.metrics:
        made = [(held, "tested, and not released") for held, _ in made]
    taking = " ".join(evidence.remarks.get("rounds", [])) or UNTESTED
    return [
        *made,
        ("Clients send what training made of their records.", taking),
        (
            "Those refused would have paid as the model says of loans like theirs.",
            "cannot be tested: the outcomes of refused applications are not known",
        ),
    ]


def untested(evidence: Evidence) -> list[str]:
    """What a reader may miss, in sentences; none where everything was looked at."""
    said = []
    if "out_of_time.auroc" not in evidence.metrics:
        said.append("Later approvals: no date tells them apart in these data, or none were told.")
    if not any(arm.role == "control" for arm in evidence.arms):
        said.append("Alternatives: no control was trained beside the model.")
    if not evidence.fairness:
        said.append("Protected groups: none were compared, or nothing may be told of them.")
    said.append("Missing or wrong fields in applications to come, and changes of law or product.")
    return said


def _over_time(evidence: Evidence) -> str:
    metrics = evidence.metrics
    if "out_of_time.auroc" not in metrics or "auroc" not in metrics:
        return f"{UNTESTED}: no later approvals are set aside"
    return (
        f"AUROC {_told(evidence, 'auroc')} on held-out loans of the same years, "
        f"{_told(evidence, 'out_of_time.auroc')} on later approvals"
    )


def _calibrated(evidence: Evidence) -> str:
    shown = [
        f"{wording.title(name).lower()} {_told(evidence, name)}"
        for name in ("ece", "calibration_slope", "out_of_time.ece")
        if name in evidence.metrics
    ]
    return "; ".join(shown) or UNTESTED


def _fair(evidence: Evidence) -> str:
    shown = [
        f"{name.split('.')[1]}: approval of the least over the most approved group "
        f"{_told(evidence, name)}"
        for name in evidence.metrics
        if name.startswith("fairness.") and name.endswith(".approval_ratio")
    ]
    return "; ".join(shown) or _said(evidence, "Fairness") or UNTESTED


def _told(evidence: Evidence, name: str) -> str:
    interval = wording.interval(evidence.metrics, name)
    return wording.fixed(evidence.metrics[name]) + (f" ({interval})" if interval else "")


def _said(evidence: Evidence, *starts: str) -> str:
    lines = evidence.every_sentence()
    return next((line for start in starts for line in lines if line.startswith(start)), "")


def _uncontrolled(evidence: Evidence) -> str:
    if evidence.data.get("public"):
        return f"{UNTESTED}: its control was not trained"
    return f"{UNTESTED}: every control on private records would have to be charged"
