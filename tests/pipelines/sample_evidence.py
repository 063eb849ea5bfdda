"""Made-up evidence of the three pipelines, with the structure of the real one.

The numbers are drawn from a seeded generator and describe nobody.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pipelines.evidence import Arm, Evidence, Figure, Table
from pipelines.reporting import figures

DRAW = np.random.default_rng(7)
N = 600


def _metrics(name: str, value: float, half: float = 0.02) -> dict[str, float]:
    return {name: value, f"{name}_low": value - half, f"{name}_high": value + half}


def _scores(count: int = N) -> tuple[np.ndarray, np.ndarray]:
    p = DRAW.beta(2, 4, count)
    return (DRAW.random(count) < p).astype(int), p


def credit(folder: Path, lenders: int = 20) -> Evidence:
    names = [f"SAMPLE BANK {i}, NATIONAL ASSOCIATION & TRUST CO <{i}>" for i in range(lenders)]
    y, p = _scores()
    arms = [
        Arm("federated, ε = 3", "arm", _arm(0.672), 11.2, "the lenders' records stay", True),
        Arm("federated, no privacy", "control", _arm(0.687), 4.1),
        Arm("each lender alone", "control", _arm(0.701), 3.0, "one small net a lender"),
        Arm("all records pooled", "control", _arm(0.694), 2.5),
        Arm("gradient boosting, pooled", "control", _arm(0.716), 1.9),
        Arm("mlp", "control", {**_arm(0.66), **_metrics("validation.auroc_difference", -0.031)}, 1),
    ]
    rows = [
        (name, v, v - 0.03, v + 0.03, series)
        for name in names
        for series in ("federated, ε = 3", "control: no privacy", "alone", "boosting")
        for v in [0.68 + 0.02 * DRAW.standard_normal()]
    ]
    plan = 3 * np.sqrt(np.arange(1, 21) / 20)
    drawn = [
        Figure("discrimination", "Who ranks best", "Curves of the arms on test records.",
               figures.discrimination(folder / "roc.png", y, {"federated": p, "pooled": p**2})),
        Figure("lenders", "Who gained and who lost", "One line an arm at each lender.",
               figures.bars(folder / "lenders.png", rows, "AUROC on test records")),
        Figure("reliability", "Predicted against observed", "On the diagonal is right.",
               figures.reliability(folder / "rel.png", y, {"before": p**0.5, "after": p})),
        Figure("budget", "Budget of each lender", "Spent of granted.",
               figures.budget(folder / "budget.png", [(f"sba/{n}", 2.98, 30.0) for n in names])),
        Figure("privacy", "ε grows with the rounds", "It stays below the target.",
               figures.privacy_curve(folder / "eps.png", range(1, 21), plan.tolist(), 3.0)),
    ]  # fmt: skip
    owners = {f"sba/{n}": {"epsilon": 2.98, "epsilon_spent": 5.96, "epsilon_granted": 30.0}
              for n in names}  # fmt: skip
    return Evidence(
        pipeline="credit",
        headline="Twenty lenders trained one model at ε = 3 without pooling a loan: "
        "AUROC 0.672, and 0.044 below boosting on pooled records.",
        data={"name": "sba", "digest": "sha256:" + "ab" * 32, "rows": 145210, "public": True,
              "unit": "borrower", "licence": "US Government work", "notes": ["3 rows set aside"],
              "provenance": "SBA 7(a) loans <republished> & \"cleaned\""},
        split={"train": {"records": 101000, "groups": 99870}, "test": {"records": 29000,
               "groups": 28650}, "out of time": {"records": 15210, "groups": 15100}},
        metrics={**_arm(0.672), **_metrics("ks", 0.27), **_metrics("gini", 0.344)},
        arms=arms,
        calibration={"method": "Platt", "ece_before": 0.081, "ece_after": 0.021, "slope": 0.93},
        privacy={"unit": "one loan", "epsilon": 2.98, "delta": 1e-5, "owners": owners,
                 "noise_multiplier": 2.41, "sampling_rate": 0.05, "rounds": 20, "clip_norm": 1.0,
                 "shape": {"training_records": [5000.0] * lenders, "codes": 9},
                 "ledger": {"id": "0a" * 8, "length": 52, "head": "9c" * 32}},
        findings=["Privacy cost 0.015 AUROC (0.672 against 0.687).",
                  "6 of 20 lenders would rank their borrowers better alone.",
                  "Out of time, AUROC falls to 0.611: the random split flatters."],
        limits=["Loans of 2000 to 2007; lending has changed since.",
                "Protected attributes are not in these data."],
        figures=drawn,
        tables=[Table("Lenders", "Test AUROC; a dash where a lender has one class.",
                      ["lender", "loans", "federated", "alone"],
                      [[n, 5000 + i, 0.68, None if i == 3 else 0.7]
                       for i, n in enumerate(names)])],
        scorecard=Table("Points", "Add up the points; the four features that cost most are the "
                        "reasons.", ["feature", "value", "points"],
                        [["(start)", "every feature at its reference", 531.9],
                         ["Amount <EUR>", "below 14,788", -10.0],
                         ["Amount <EUR>", "14,788 and more", 9.4], ["Amount <EUR>", "empty", 12.7],
                         ["Purpose", "any other", 0.0]]),
    )  # fmt: skip


def _arm(value: float) -> dict[str, float]:
    return {
        **_metrics("auroc", value),
        **_metrics("auroc_client_mean", value - 0.01),
        **_metrics("ece", 0.021, 0.006),
    }


def patients(folder: Path) -> Evidence:
    outcomes = {"death": "auroc", "death_180_days": "auroc", "function": "auroc", "stay": "r2",
                "survival": "cindex"}  # fmt: skip

    def metrics(shift: float) -> dict[str, float]:
        found: dict[str, float] = {}
        for i, (outcome, metric) in enumerate(outcomes.items()):
            found |= _metrics(f"{outcome}.{metric}", 0.7 + 0.03 * i + shift)
        return found

    y, p = _scores()
    return Evidence(
        pipeline="patients",
        headline="One shared trunk matched one net an outcome on all five outcomes, "
        "in a quarter of the training time.",
        data={"name": "support2", "digest": "sha256:" + "cd" * 32, "rows": 9105, "public": True,
              "unit": "patient", "licence": "not stated", "provenance": "SUPPORT study"},
        split={part: {"records": n, "groups": n}
               for part, n in (("train", 5463), ("validation", 1366), ("test", 2276))},
        metrics={**metrics(0.0), "death.ece": 0.03, **{f"external.{k}": v - 0.05
                 for k, v in metrics(0.0).items()}},
        arms=[Arm("hard sharing", "arm", metrics(0.0), 2.2, "one trunk, five heads", True),
              Arm("single-task nets", "control", metrics(-0.005), 9.5),
              Arm("gradient boosting", "control", metrics(0.006), 6.0, "one an outcome")],
        calibration={"death": {"method": "temperature", "ece_before": 0.05, "ece_after": 0.03},
                     "function": {"method": "temperature", "ece_before": 0.04}},
        findings=["Sharing helps stay by 0.005 and costs no outcome more than its interval."],
        limits=["Five hospitals in the United States, 1989 to 1994."],
        figures=[Figure("calibration-death", "Death in hospital", "Near the diagonal.",
                        figures.reliability(folder / "death.png", y, {"calibrated": p}))],
    )  # fmt: skip


def imaging(folder: Path) -> Evidence:
    grid = np.hypot(*np.mgrid[-24:24, -24:24])
    nodules = [np.clip(255 * (1 - grid / (8 + 2 * i)), 0, 255).astype(np.uint8) for i in range(6)]
    heats = [np.exp(-((grid[::6, ::6] / (6 + i)) ** 2)) for i in range(6)]
    captions = [f"readers: {'malignant' if i % 2 else 'benign'}, model {0.1 + 0.15 * i:.2f}"
                for i in range(6)]  # fmt: skip
    y, p = _scores()

    def metrics(value: float) -> dict[str, float]:
        return {**_metrics("auroc", value), **_metrics("accuracy", value - 0.06),
                **_metrics("ece", 0.04)}  # fmt: skip

    return Evidence(
        pipeline="imaging",
        headline="Six size measures rank nodules as well as any network: fine-tuning reached "
        "AUROC 0.861, size alone 0.870.",
        data={"name": "lidc", "digest": "sha256:" + "ef" * 32, "rows": 6859, "public": True,
              "unit": "image", "licence": "CC BY 3.0", "provenance": "LIDC-IDRI contours"},
        split={"train": {"records": 1277, "groups": 610}, "validation": {"records": 300,
               "groups": 140}, "test": {"records": 502, "groups": 240}},
        metrics=metrics(0.861),
        arms=[Arm("transfer", "arm", metrics(0.847), 1.2, "base frozen"),
              Arm("fine-tune", "arm", metrics(0.861), 22.0, "two blocks trained on", True),
              Arm("random weights", "control", metrics(0.842), 1.2),
              Arm("six size measures", "control", metrics(0.870), 0.1, "logistic regression")],
        calibration={"method": "temperature", "temperature": 1.31, "ece_before": 0.07,
                     "ece_after": 0.04},
        findings=["These are outlines drawn by radiologists, not CT grey values.",
                  "Size is hard to beat: no network is above it by more than its interval."],
        limits=["One collection of scans; no other hospital was tested."],
        figures=[Figure("gradcam", "Where the network looked", "Left the outline, right Grad-CAM.",
                        figures.image_panel(folder / "cam.png", nodules, heats, captions)),
                 Figure("reliability", "Predicted against observed", "Near the diagonal.",
                        figures.reliability(folder / "r.png", y, {"before": p, "after": p})),
                 Figure("learning", "Validation AUROC", "Each line's best epoch was kept.",
                        figures.learning_curve(folder / "l.png", {"transfer": [0.7, 0.8, 0.79],
                                               "fine-tune": [0.7, 0.82, 0.85]}, "AUROC"))],
    )  # fmt: skip


def result(evidence: Evidence, report: Path) -> dict[str, Any]:
    """The JSON that such a run would answer with."""
    return {
        "pipeline": evidence.pipeline,
        "run_id": "0f" * 16,
        "model": {"name": f"{evidence.pipeline}-sample", "version": "3", "aliases": ["champion"]},
        "metrics": evidence.metrics,
        "controls": {a.name: a.metrics for a in evidence.arms if a.role == "control"},
        "privacy": evidence.privacy,
        "gate": {"promoted": evidence.pipeline != "imaging",
                 "reasons": ["floor: met (0.67 ≥ 0.60)", "calibration: met (0.021 ≤ 0.10)"]},
        "data": {key: evidence.data[key] for key in ("name", "digest", "rows")},
        "seconds": {"total": 48.2, "training": 31.0, "orchestration": 9.1},
        "report": str(report),
        "git_revision": "deadbeef" * 5,
        "config_yaml": "model: mlp\nprivacy: {epsilon: 3, delta: 1.0e-5}\nnote: <b>&</b>\n",
        "started": "2000-01-01T00:00:00+00:00",
    }  # fmt: skip
