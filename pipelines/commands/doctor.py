"""`careledger doctor`."""

from __future__ import annotations

import typer


def doctor() -> None:
    """Check this installation: versions, folders, store, ledger; exit 1 when something is wrong."""
    from pipelines.doctor import examine

    checks = examine()
    for check in checks:
        print(f"{'ok ' if check.ok else 'BAD'} {check.name}: {check.detail}")
    if not all(check.ok for check in checks):
        raise typer.Exit(1)
