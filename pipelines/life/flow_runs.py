"""Prefect's side of a job that died: its flow run is told so, and given back to the workers.

Prefect itself leaves the run of a killed process RUNNING.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from uuid import UUID

from pipelines import services

Offer = Literal["offered", "under way", "cancelled", "unknown"]


def current() -> tuple[str | None, bool]:
    """Id of the flow run in this process, and whether it is one of a deployment."""
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return (str(run.id), run.deployment_id is not None) if run else (None, False)


def told_to_end(error: BaseException) -> bool:
    """Whether a process is being ended from outside (SIGTERM), by a worker that stops say."""
    from prefect.exceptions import TerminationSignal

    return isinstance(error, TerminationSignal)


def crash(flow_run_id: str, message: str) -> bool:
    """Set a flow run that still looks alive to CRASHED, which also frees its concurrency slot.

    Returns:
        Whether a server knew it.
    """
    from prefect.states import Crashed

    with _server() as server:
        run = _read(server, flow_run_id)
        if run is None:
            return False
        if not run.state.is_final():
            server.set_flow_run_state(run.id, Crashed(message=message), force=True)
        return True


def offer(flow_run_id: str, dead_since: float) -> Offer:
    """Put a crashed flow run of a deployment back into its queue; a worker takes it up from there.

    Args:
        flow_run_id: Prefect's.
        dead_since: Unix time when its process was known to be gone: a run that began before and
            still counts as running is that process's.

    Returns:
        `offered`; `under way` where it waits or runs already; `cancelled` where somebody did not
        want it to go on; `unknown` where no server has it.
    """
    from prefect.states import AwaitingRetry, Crashed

    with _server() as server:
        run = _read(server, flow_run_id)
        if run is None:
            return "unknown"
        if run.state.is_cancelled() or run.state.is_cancelling():
            return "cancelled"
        stale = run.state.is_running() and run.state.timestamp.timestamp() < dead_since
        if stale:  # the server was out of reach when the others were told
            server.set_flow_run_state(run.id, Crashed(), force=True)
        elif not run.state.is_final():
            return "under way"
        server.set_flow_run_state(run.id, AwaitingRetry(), force=True)
        return "offered"


def withdraw(flow_run_id: str) -> None:
    """Keep the workers from a flow run whose job is taken up elsewhere or dropped."""
    from prefect.states import Cancelled

    with _server() as server:
        run = _read(server, flow_run_id)
        if run is not None and not run.state.is_final():
            server.set_flow_run_state(run.id, Cancelled(), force=True)


def answer(flow_run_id: str, answers: dict[str, str]) -> bool:
    """Let a paused flow run go on with what somebody answered; whether one waited for it."""
    with _server() as server:
        run = _read(server, flow_run_id)
        if run is None or not run.state.is_paused():
            return False
        server.resume_flow_run(run.id, run_input=answers)
        return True


@contextmanager
def _server() -> Iterator[Any]:
    """A client of the Prefect server, if there is one and it answers; otherwise None.

    It is the server that is set, or that of this home's services. Without an address Prefect's
    client would start a server of its own.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    url = PREFECT_API_URL.value() or services.addresses()["prefect"]
    if not url:
        yield None
        return
    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as server:
        try:
            server.hello()
        except httpx.HTTPError:
            server = None
        yield server


def _read(server: Any, flow_run_id: str) -> Any:
    from prefect.exceptions import ObjectNotFound

    if server is None:
        return None
    try:
        return server.read_flow_run(UUID(flow_run_id))
    except ObjectNotFound:
        return None
