"""Which ports the services listen on, and who else does."""

from __future__ import annotations

import os
import socket

import psutil

from domains.errors import InputError

HOST = "127.0.0.1"
VARIABLES = {
    "prefect": ("CARELEDGER_PREFECT_PORT", 4200),
    "mlflow": ("CARELEDGER_MLFLOW_PORT", 5000),
    "worker": ("CARELEDGER_WORKER_PORT", 4280),
}
"""The variable of each service's port, and its default."""


def port_of(service: str) -> int:
    """The configured port.

    Raises:
        InputError: The variable holds no port.
    """
    variable, default = VARIABLES[service]
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise InputError(f"{variable}={text}: expected a port from 1 to 65535")
    return int(text)


def check_free(service: str) -> None:
    """Make sure that nobody else listens where a service is to.

    Raises:
        InputError: Somebody does; names the port, who it is if that can be seen, and the variable.
    """
    port = port_of(service)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            variable, _ = VARIABLES[service]
            raise InputError(
                f"port {port} for {service} cannot be had: {_holder(port) or error.strerror}; "
                f"end that, or set {variable} to another port"
            ) from None


def _holder(port: int) -> str | None:
    """Who listens on a port, as far as this user may see."""
    try:
        found = [c for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port]
        pids = [c.pid for c in found if c.status == psutil.CONN_LISTEN and c.pid]
        if not pids:
            return None
        return f"process {pids[0]} ({psutil.Process(pids[0]).name()}) listens there"
    except psutil.Error:
        return None
