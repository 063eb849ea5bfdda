"""A server from start to end: what must be in order first, and an end that cuts nothing short."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from domains.errors import InputError
from domains.fetching import replacing
from pipelines.progress import say
from pipelines.serving.app import Service, build
from pipelines.serving.every import Every
from pipelines.serving.following import Following
from pipelines.serving.keys import VARIABLE, Keys, read_keys
from pipelines.serving.limits import Limits, read_limits
from pipelines.serving.line import Line
from pipelines.serving.meters import Meters
from pipelines.serving.sweep import Sweep
from pipelines.serving.usage import Usage
from pipelines.serving.version import Version
from pipelines.settings import home, home_key

_BACKLOG = 4096
_MINUTE = 60.0


def serve(reference: str, host: str, port: int) -> int:
    """Serve a model until SIGTERM or SIGINT; requests under way are finished first.

    Args:
        reference: `MODEL[@alias]`, whose alias is followed, or `MODEL/version`.
        host: Address to listen on; one beyond loopback needs an API key.
        port: Port; 0: any free one.

    Returns:
        Exit status 0.

    Raises:
        InputError: A variable is wrong, a key is missing, the port is taken, or there is no such
            version, or it cannot be loaded.
    """
    limits = read_limits(os.environ)
    keys = read_keys(os.environ.get(VARIABLE, ""), home_key)
    if not keys.names and not _loopback(host):
        raise InputError(
            f"--host {host}: only loopback is served without an API key; set {VARIABLE}"
        )
    with _bound(host, port) as listener:
        meters = Meters()
        following = Following(reference, meters, limits.poll)
        _listen(listener)
        asyncio.run(_serve(listener, host, reference, following, keys, limits, meters))
    return 0


async def _serve(
    listener: socket.socket,
    host: str,
    reference: str,
    following: Following,
    keys: Keys,
    limits: Limits,
    meters: Meters,
) -> None:
    line = Line(asyncio.get_running_loop(), meters, limits.threads)
    service = Service(following, line, limits, meters, Usage(following.version.name), keys)
    url = _url(host, listener.getsockname()[1])
    with _announced(reference, url, service):
        say(f"{following.version.name}: version {following.version.number} answers at {url}")
        await _Server(build(service), limits).serve([listener])
    line.close()
    say(f"{following.version.name}: stopped")


class _Server(uvicorn.Server):
    """Uvicorn that ends with status 0 when it is told to, and cuts off connections that hang."""

    def __init__(self, app: object, limits: Limits) -> None:
        super().__init__(
            uvicorn.Config(
                app,  # type: ignore[arg-type]
                log_level="error",
                access_log=False,
                lifespan="off",
                ws="none",
                timeout_keep_alive=75,
                timeout_graceful_shutdown=int(limits.seconds) + 5,
                server_header=False,
            )
        )
        self._sweep = Sweep(limits.seconds + 60)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Until a signal comes."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        await self._serve(sockets)

    def _end(self) -> None:
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % 100 == 0:
            self._sweep(self.server_state.connections)
        return await super().on_tick(counter)


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that holds the port; it listens, and so answers probes, when a model is loaded."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection is an open file
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends without delay only where the protocol is named, and else waits 40 ms an answer
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise _cannot_listen(f"--host {host} --port {port}", error) from None
        yield listener


def _listen(listener: socket.socket) -> None:
    try:
        listener.listen(_BACKLOG)
    except OSError as error:  # another process was as quick to take the port
        raise _cannot_listen(f"--port {listener.getsockname()[1]}", error) from None


def _cannot_listen(where: str, error: OSError) -> InputError:
    why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    return InputError(f"{where}: cannot listen there ({why}); name another --port")


@contextmanager
def _announced(reference: str, url: str, service: Service) -> Iterator[None]:
    """While it runs: the alias is followed, acts are written down, and a file names the server."""
    folder = home() / "services"
    folder.mkdir(exist_ok=True)
    path = folder / f"serve-{reference.removesuffix('@champion').replace('/', '-')}.json"

    def announce(version: Version) -> None:
        facts = {"pid": os.getpid(), "url": url, "model": version.name}
        facts |= {"version": version.number, "since": version.since}
        with suppress(OSError), replacing(path) as part:  # a full disk stops no answer
            part.write_text(json.dumps(facts))

    announce(service.following.version)
    counting = Every("usage", _MINUTE, service.usage.flush)
    counting.start()
    threads = [service.following.watch(announce), counting]
    try:
        yield
    finally:
        for thread in threads:
            if thread:
                thread.stop()
        service.usage.flush()
        _withdraw(path)


def _withdraw(path: Path) -> None:
    """Remove the file, unless another server has put its own in its place."""
    try:
        if json.loads(path.read_text())["pid"] == os.getpid():
            path.unlink()
    except (OSError, ValueError, KeyError):
        return


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
