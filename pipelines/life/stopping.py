"""Jobs whose process is ended on purpose: written down, so that nobody takes that for a crash."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from domains.errors import InputError
from pipelines.life import jobs


def at_work() -> list[str]:
    """Run ids of the jobs that a process is at work on."""
    return [folder.name for folder in jobs.folders() if jobs.is_alive(folder)]


def note_stopped(run_ids: list[str]) -> list[str]:
    """Write down that the processes of these jobs were ended on purpose.

    One that is still at work, or has ended by itself, is left as it is.

    Returns:
        Ids of those that were written down.
    """
    return [run_id for run_id in run_ids if _noted(run_id)]


def _noted(run_id: str) -> bool:
    folder = jobs.folder_of(run_id)
    with suppress(OSError, InputError):  # it has ended and cleared up; or is unreadable
        held = jobs.hold(folder)
        if held is None:
            return False
        try:
            record = jobs.read(folder)
            if not (record.ended or record.stopped or record.waits):
                jobs.write(replace(record, stopped=True, stops=record.stops + 1))
                return True
        finally:
            held.release()
    return False
