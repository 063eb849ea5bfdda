"""One audit: the claim read, the attack and the probes run, the answers compared and kept."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from pipelines.acting import now
from pipelines.auditing import checks, trees_attack, trees_probe
from pipelines.auditing.attack import attack, noise_everywhere
from pipelines.auditing.checks import Check
from pipelines.auditing.claim import Claim, read_claim
from pipelines.auditing.probe import probe
from pipelines.auditing.setup import count_nobody
from pipelines.progress import say
from pipelines.tracking import client

_TAG = "careledger.audit"
_NETS = (probe, attack, noise_everywhere)
_TREES = (trees_probe.probe, trees_attack.attack, trees_attack.noise_everywhere)
_NOT_TESTED = (
    "the code that trained the version, if it was other than what is installed now",
    "metrics, calibration and the split (held-out records never train, and are not private here)",
    "low bits of the noise, and the operating system's randomness",
)


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        claim: What was audited.
        checks: In the order they are told.
        records: Made-up records that were trained on.
        seconds: Wall time.
    """

    claim: Claim
    checks: tuple[Check, ...]
    records: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every check did."""
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """JSON values: the claim, every check with its numbers, the verdict."""
        claim = self.claim
        return {
            "run_id": claim.run_id,
            "model": claim.version,
            "passed": self.passed,
            "claim": {
                "unit": "record",
                "epsilon": claim.epsilon,
                "delta": claim.plan.delta,
                "noise_multiplier": claim.plan.noise_multiplier,
                "clip_norm": claim.plan.clip_norm,
                "sampling_rate": claim.plan.sampling_rate,
                "rounds": claim.plan.rounds,
                "local_steps": claim.plan.local_steps,
                "clients": len(claim.records),
                "codes": claim.codes,
                "model": claim.model,
            },
            "checks": {
                check.name: {"passed": check.passed, "said": check.said, **check.numbers}
                for check in self.checks
            },
            "not_tested": list(_NOT_TESTED),
            "synthetic_records": self.records,
            "seconds": round(self.seconds, 3),
        }


def audit(reference: str) -> Audit:
    """Audit a run, and write the answer beside it. No real record is read and nothing is charged.

    Args:
        reference: A run's id, or MODEL, MODEL@alias or MODEL/version.

    Raises:
        InputError: Nothing that could be audited; see `claim.read_claim`.
    """
    claim = read_claim(reference)
    found = examine(claim)
    _keep(found)
    return found


def examine(claim: Claim) -> Audit:
    """The checks of a claim."""
    started = time.perf_counter()
    probing, attacking, listening = _TREES if claim.model == "trees" else _NETS
    counted = []
    if claim.plan.setup_noise_multiplier:
        say(f"counts behind bins and value lists: {claim.plan.setup_columns} columns")
        counted = count_nobody(claim.plan)
    say(f"single records, without noise: {claim.plan.local_steps} steps a round")
    probed = probing(claim)
    say(f"canaries at {len(claim.records)} clients: {claim.plan.rounds} rounds")
    attacked = attacking(claim)
    say("noise in every value that leaves a client")
    everywhere = listening(claim)
    say("bounds")
    found = (
        checks.setup(claim, counted),
        checks.canaries(claim, attacked),
        checks.noise(claim, attacked.noise, everywhere),
        checks.count(claim, attacked, probed),
        checks.clip(claim, probed),
    )
    return Audit(claim, found, attacked.records, time.perf_counter() - started)


def describe(found: Audit) -> str:
    """A line for the claim, one for each check, and the verdict."""
    claim, plan = found.claim, found.claim.plan
    who = f"{claim.version} (run {claim.run_id})" if claim.version else f"run {claim.run_id}"
    lines = [f"{who} claims ε {claim.epsilon:.3g} at δ {plan.delta:g} for each record"]
    lines += [
        f"  {'pass' if check.passed else 'FAIL'}  {check.name:<9} {check.said}"
        for check in found.checks
    ]
    scope = f"  not tested: {'; '.join(_NOT_TESTED)}"
    verdict = "passed" if found.passed else "FAILED: do not rely on the claim"
    tested = "the setup, training" if claim.plan.setup_columns else "training"
    told = f"{verdict}: {tested} and its charge ({found.seconds:.0f} s, no real record read)"
    return "\n".join([*lines, scope, told])


def _keep(found: Audit) -> None:
    """The whole answer as an artifact of the run, the verdict as a tag of run and version."""
    when, tracker, run_id = now(), client(), found.claim.run_id
    told = f"{'passed' if found.passed else 'failed'} {when}"
    place = f"audits/{when.replace(':', '')}.json"
    tracker.log_text(run_id, json.dumps(found.to_json(), indent=1), place)
    tracker.set_tag(run_id, _TAG, told)
    if found.claim.version:
        name, _, version = found.claim.version.rpartition(" ")
        tracker.set_model_version_tag(name, version, _TAG, told)
