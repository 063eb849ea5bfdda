"""Made-up evidence of lenders who joined, with everything a credit report can hold.

Tables, pictures and sentences are made by the pipeline's own functions from drawn records; they
describe nobody.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from domains.banking.groups import Groups
from domains.metrics import named
from pipelines.evidence import Arm, Evidence
from pipelines.steps.credit import judgements, priced, words
from pipelines.steps.credit.controls import ALONE, BOOSTING, PLAIN, POOLED
from pipelines.steps.credit.joined import figures, sentences, table
from pipelines.steps.credit.joining import groups, members
from pipelines.steps.credit.personal import PERSONAL
from pipelines.steps.credit.price import ARMS, DRAWS, Priced
from pipelines.steps.credit.protected import Protected
from pipelines.steps.credit.scores import Tested, difference, difference_inside, metrics_of
from pipelines.steps.credit.taking_part import with_conduct
from pipelines.steps.credit.told import in_order
from pipelines.steps.credit.training import FEDERATED, Trained
from tests.pipelines import sample_evidence

LENDERS = (*(f"SAMPLE BANK {i}, NATIONAL ASSOCIATION & TRUST <{i}>" for i in range(11)), "TINY")
BLUR = {FEDERATED: 1.3, PERSONAL: 0.9, "mlp": 1.6, "trees": 1.0, PLAIN: 1.1, ALONE: 1.2,
        POOLED: 1.1, BOOSTING: 0.8}  # fmt: skip
CONDUCT = {LENDERS[2]: {"lost": 3, "too long, clipped": 2}, LENDERS[0]: {"too long": 7},
           "TINY": {"no finite length": 1}}  # fmt: skip


def drawn(count: int) -> Tested:
    """Records of lenders of many sizes; each arm blurs what is known of a record."""
    draw = np.random.default_rng(5)
    shares = np.linspace(3, 1, len(LENDERS) - 1)
    client = draw.choice(len(LENDERS) - 1, count, p=shares / shares.sum())
    client[:3] = len(LENDERS) - 1
    risk = draw.normal(-0.8, 1.0, count)
    y = (draw.random(count) < 1 / (1 + np.exp(-risk))).astype(float)
    scores = {
        arm: 1 / (1 + np.exp(-(risk + draw.normal(0, blur, count)))) for arm, blur in BLUR.items()
    }
    return Tested(y, client, np.arange(count), LENDERS, scores)


def evidence(folder: Path) -> Evidence:
    """The credit sample with joining, the price of privacy, fairness and conduct."""
    bare, held = sample_evidence.credit(folder), drawn(1800)
    sizes = {name: 250 * (len(LENDERS) - i) ** 2 for i, name in enumerate(LENDERS)}
    found = members(held, sizes)
    points = priced.measured(held, _priced(folder, held))
    column = Protected(
        Groups("Sex", ("F", "M"), np.zeros(0), 0), np.arange(len(held.y)) % 2, held, 0.3
    )
    arms = [
        Arm(arm, "arm" if arm in (FEDERATED, PERSONAL) else "control", metrics_of(held, arm), 1.5,
            "how it was trained, in a few words", arm == FEDERATED)
        for arm in BLUR
    ]  # fmt: skip
    early = {f"out_of_time.{name}": value for name, value in metrics_of(held, FEDERATED).items()}
    arms[0].metrics.update(early)
    gaps = column.gaps
    made = replace(
        bare,
        metrics={
            **arms[0].metrics,
            **column.metrics(),
            **named("approval.rate", gaps["approval_ratio"]),
        },
        arms=arms,
        findings=[
            words.gain_of_federation(
                difference(held, FEDERATED, ALONE), difference_inside(held, FEDERATED, ALONE)
            ),
            words.cost_of_privacy(difference(held, FEDERATED, PLAIN), private=True),
            words.against(difference(held, FEDERATED, BOOSTING), f"{BOOSTING}, without privacy"),
            priced.sentence(points, 3.0),
            *sentences(found, groups(held, sizes)),
            judgements.grouped("Sex", ("F", "M"), gaps["approval_ratio"], gaps["odds_difference"]),
        ],
        figures=[
            *(each for each in bare.figures if each.name != "lenders"),
            priced.figure(folder, points),
            *figures(folder, [member for member in found if member.told]),
        ],
        tables=[priced.table(points), table(found)],
        fairness=[column.table(50), column.gap_table()],
    )
    history = [{"round": i + 1.0, "clients": 12.0 - i % 3} for i in range(20)]
    model = Trained(FEDERATED, "arm", "", 1.0, folder / "none.npy", history, (), CONDUCT)
    return with_conduct(in_order(made), folder, LENDERS, model)


def _priced(folder: Path, held: Tested) -> list[Priced]:
    draw, found = np.random.default_rng(6), []
    for epsilon in (1.0, 3.0, 8.0, None):
        for arm in ARMS:
            noise = 0.4 + (0.0 if epsilon is None else 1.5 / epsilon)
            trained = [
                held.scores[arm] + draw.normal(0, noise / 4, len(held.y)) for _ in range(DRAWS)
            ]
            path = folder / f"{arm}-{epsilon}.npy"
            np.save(path, np.array(trained))
            found.append(Priced(arm, epsilon, path, 1.0))
    return found
