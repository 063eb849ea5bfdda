"""Small models in a registry, and servers in processes of their own that answer with them."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import uvicorn

from domains.banking.features import Categorical, Derived, Numeric
from models.credit import CreditScorer
from models.credit import build as build_net
from models.credit_encoding import Encoder
from models.imaging.backbones import Classifier, settle
from models.imaging.backbones import build as build_encoder
from models.imaging.features import to_batch
from models.imaging.scorer import ImagingScorer
from models.multitask.calibrating import Calibrator
from models.multitask.named import network
from models.multitask.scorer import PatientsScorer
from models.multitask.shape import Shape
from pipelines.governance import registry
from pipelines.serving.app import Service, build
from pipelines.serving.following import Following
from pipelines.serving.keys import read_keys
from pipelines.serving.limits import Limits
from pipelines.serving.line import Line
from pipelines.serving.meters import Meters
from pipelines.serving.usage import Usage
from pipelines.tracking import client
from tests.domains.sample_images import picture
from tests.domains.sample_loans import sample_loans
from tests.domains.sample_patients import OUTCOMES, sample_patients

ENCODER = Encoder(
    (
        Numeric("amount", (0.0, 1e4, 3e4, 1e6)),
        Numeric("income", (0.0, 2e4, 5e4)),
        Categorical("purpose", ("car", "home")),
        Numeric("burden", (0.0, 0.5, 1.0, 4.0)),
    ),
    (Derived("burden", "share", ("amount", "income")),),
)
LOANS = ["amount", "income", "purpose"]
PATIENTS = ["age", "lab", "ward", "smoker"]


def credit_scorer(seed: int = 1, intercept: float = -0.2) -> CreditScorer:
    return CreditScorer(ENCODER, build_net(ENCODER.width, 8, seed=seed), 0.9, intercept)


def patients_scorer() -> PatientsScorer:
    from domains.healthcare.cohort.features import fit_encoder
    from domains.healthcare.outcomes.codec import fit_codec
    from domains.healthcare.patients import read_cohort

    cohort = read_cohort(sample_patients(), OUTCOMES, "f", patient="id")
    codecs = {o.name: fit_codec(o, cohort.targets.values[o.name]) for o in OUTCOMES}
    encoder = fit_encoder(cohort.features)
    sizes = {name: codec.size for name, codec in codecs.items()}
    shape = Shape(encoder.width, sizes, 8)
    built = network("hard", shape)
    calibrators = {
        "death": Calibrator(temperature=1.7, shift=-0.3),
        "stay": Calibrator("conformal", coverage=0.9, below=1.2, above=0.8),
        "survival": Calibrator(temperature=0.8, shift=0.2),
    }
    return PatientsScorer(encoder, codecs, built, "hard", shape, calibrators)


def imaging_scorer() -> ImagingScorer:
    backbone = settle(build_encoder("efficientnet-lite0", 32, seed=0), [to_batch(images(16, 32))])
    net = Classifier(backbone, 3).eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.nn.init.normal_(net.head.weight, std=0.02)
    return ImagingScorer(net, ("a", "b", "c"), 32, temperature=2.0)


def images(count: int, side: int = 40) -> np.ndarray:
    grey = np.stack([picture(i % 2, i)[:side, :side] for i in range(count)])
    return np.repeat(grey[..., None], 3, axis=3)


def records(frame: pd.DataFrame, columns: list[str]) -> list[dict[str, Any]]:
    """Rows as JSON values, unknown cells as null."""
    rows: list[dict[str, Any]] = json.loads(frame[columns].to_json(orient="records"))
    return rows


def loans(rows: int, seed: int = 5) -> list[dict[str, Any]]:
    return records(sample_loans(rows, seed), LOANS)


def register(name: str, scorer: Any, example: Mapping[str, Any], alias: str | None = None) -> str:
    """Register a packed model as MLflow lays one out; returns the version."""
    tracker = client()
    experiment = tracker.get_experiment_by_name("sample")
    place = (Path(os.environ["CARELEDGER_HOME"]) / "artifacts" / "sample").as_uri()
    number = experiment.experiment_id if experiment else tracker.create_experiment("sample", place)
    run = tracker.create_run(number)
    folder = Path(run.info.artifact_uri.removeprefix("file://")) / "model"
    scorer.save(folder / "artifacts" / "package")
    (folder / "serving_input_example.json").write_text(json.dumps(example))
    version = registry.create_version(name, folder.as_uri(), run.info.run_id, {})
    if alias:
        tracker.set_registered_model_alias(name, alias, version)
    return version


def table_example(columns: list[str], rows: list[dict[str, Any]]) -> dict[str, Any]:
    data = [[row[column] for column in columns] for row in rows]
    return {"dataframe_split": {"columns": columns, "data": data}}


def register_loans(name: str = "loans", alias: str | None = "champion", **how: Any) -> str:
    return register(name, credit_scorer(**how), table_example(LOANS, loans(3)), alias)


@dataclass(frozen=True)
class Served:
    """A server that answers on a port of this machine."""

    port: int

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        """Status, body (parsed where it is JSON) and headers of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = dict(headers or {})
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        kind = answer.headers.get("content-type", "")
        return answer.status, json.loads(content) if "json" in kind else content, answer.headers

    def predict(self, **body: Any) -> dict[str, Any]:
        """The answer to POST /predict, which must be 200."""
        status, answer, _ = self.ask("POST", "/predict", body)
        assert status == 200, answer
        return dict(answer)


@contextmanager
def serving(reference: str, text: str = "", **limits: Any) -> Iterator[Served]:
    """A server in a thread of this process: real HTTP, and no imports to wait for.

    Args:
        reference: What is served.
        text: API keys.
        limits: Of `Limits`, where they are not the default ones.
    """
    given = Limits(**{"poll": 0.1, "threads": torch.get_num_threads(), **limits})
    meters = Meters()
    following = Following(reference, meters, given.poll)
    keys = read_keys(text, lambda: b"secret")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)
        server: list[Any] = []

        async def run() -> None:
            line = Line(asyncio.get_running_loop(), meters, given.threads)
            usage = Usage(following.version.name)
            app = build(Service(following, line, given, meters, usage, keys))
            server.append(uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")))
            await server[0].serve([listener])
            line.close()

        thread = threading.Thread(target=asyncio.run, args=(run(),))
        watch = following.watch(lambda _: None)
        thread.start()
        try:
            yield Served(listener.getsockname()[1])
        finally:
            if watch:
                watch.stop()
            server[0].should_exit = True
            thread.join()


@contextmanager
def serving_process(reference: str, **variables: str) -> Iterator[tuple[Served, Any]]:
    """A server as people start it, and its process; it is told to end, and must end well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "serve", reference, "--port", "0"],
        env={**os.environ, "CARELEDGER_SERVE_POLL": "0.2", **variables},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        said = ""
        while "answers at" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        port = re.search(r"http://\S+:(\d+)", said)
        assert port is not None
        yield Served(int(port.group(1))), process
    finally:
        process.terminate()
        _, rest = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert "Traceback" not in rest, rest


def wait_until(served: Served, met: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first state of GET /ready that meets a condition."""
    for _ in range(1200):
        _, state, _ = served.ask("GET", "/ready")
        if met(state):
            return dict(state)
        time.sleep(0.05)
    raise AssertionError(f"still {state}")


def metrics(served: Served) -> dict[str, float]:
    """Every series of GET /metrics."""
    _, text, _ = served.ask("GET", "/metrics")
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
