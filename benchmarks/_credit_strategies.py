"""Seconds of a round and peak memory of every strategy, at 20 and 200 lenders of `sba`.

A scorecard under ε = 3 with four local steps a round, so that FedProx and SCAFFOLD differ from
FedAvg; records of a lender are those of scale small. One process a measurement, one thread, the
strategies in turn. The peer is FedAvg; that a strategy costs at most twice what it does is this
benchmark's own limit.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._credit_arms import plan_of, under
from benchmarks._credit_data import LENDERS, SBA, config_of, loans
from benchmarks._fed_peers import Told, ask
from benchmarks._rows import Row, smaller_is_better
from domains.banking.credit import PARTS
from models.strategies import STRATEGIES
from pipelines.life import kept
from pipelines.settings import CreditConfig
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.training import training_rows

PEER, GOAL = "fedavg", 0.5
ROUNDS, STEPS, EPSILON = 21, 4, 3.0


def rows(scale: str, repeats: int) -> list[Row]:
    """Milliseconds of the processor a round, and peak memory, beside FedAvg's."""
    made: list[Row] = []
    for who, clients in LENDERS.items():
        config = config_of(SBA, scale, clients=clients, rounds=ROUNDS, local_steps=STEPS)
        with loans(config) as (_, prepared), tempfile.TemporaryDirectory() as folder:
            order = _order(prepared, under(config, EPSILON), Path(folder))
            made += _beside_peer(who, _in_turn(order, Path(folder), repeats))
    return made


def _order(prepared: Prepared, config: CreditConfig, folder: Path) -> dict[str, Any]:
    """What every process reads: training records stand first, client by client."""
    train, holder = training_rows(prepared), prepared.facts["client"].to_numpy()
    clients = []
    for name, size in prepared.sizes.items():
        places = np.flatnonzero(train & (holder == name))
        if len(places):
            held = (int(places[0]), int(places[-1]) + 1)
            clients.append((name, *held, PARTS["train"] * size))
    np.save(folder / "codes.npy", prepared.codes[train])
    np.save(folder / "y.npy", prepared.facts["y"].to_numpy()[train])
    return {
        "codes": str(folder / "codes.npy"),
        "y": str(folder / "y.npy"),
        "clients": clients,
        "plan": kept.encode(plan_of(prepared, config)),
        "config": config.model_dump(mode="json"),
    }


def _in_turn(order: dict[str, Any], folder: Path, repeats: int) -> dict[str, list[Told]]:
    """One of each after the other, so that a busy minute hits all alike."""
    told: dict[str, list[Told]] = {name: [] for name in STRATEGIES}
    path = folder / "order.json"
    for _ in range(repeats):
        for name in STRATEGIES:
            path.write_text(json.dumps(order | {"config": order["config"] | {"strategy": name}}))
            told[name].append(_told(path))
    return told


def _told(path: Path) -> Told:
    return ask(Path(sys.executable), "benchmarks._credit_strategy", [str(path)], str(path))


def _beside_peer(who: str, told: dict[str, list[Told]]) -> list[Row]:
    made = []
    for name in STRATEGIES:
        for what, unit in (("round", "ms"), ("peak memory", "MB")):
            ours, peer = (_numbers(told[side], unit) for side in (name, PEER))
            made.append(smaller_is_better(f"{what}, {name}, {who}", unit, ours, peer, GOAL))
    return made


def _numbers(told: list[Told], unit: str) -> list[float]:
    return [each.peak_mb if unit == "MB" else 1e3 * each.cpu for each in told]
