"""What decides which records are held out: an id, or without one all columns of the file.

A keyed hash of that unit puts a record on the side that trains or on the side that is tested, where
metrics are exact. Under another unit the same record falls anew, and one that trained would be
tested. So private data keep the unit of the first job that was charged for them. So it is with the
key, the home's: under another one every record falls anew, and no fingerprint is known again. A
ledger keeps its name, and all private data that it is charged for have that one key.
"""

from domains.errors import Refused

Unit = tuple[str, ...]
"""Columns whose values are hashed: that of an id alone, or all of them by name; empty: not told."""


def check_unit(name: str, before: Unit, now: Unit) -> None:
    """Compare the unit of a job with that of the jobs before it.

    Args:
        name: The data's.
        before: The unit of charged jobs, as the ledger keeps it.
        now: That of the job to be charged.

    Raises:
        Refused: They differ; the message says what was, what is, and how to mend it.
    """
    if before and now and before != now:
        raise Refused(
            f"data {name}: which records are held out was decided by {_said(before)} before and "
            f"would be by {_said(now)} now, so that records that trained would be tested; "
            f"{_mend(before, now)}"
        )


def check_secret(before: str, now: str) -> None:
    """Compare the home's key of a job with that of the jobs before it, by name.

    Args:
        before: Of charged jobs, as the ledger keeps it; empty: not told.
        now: That of the job to be charged.

    Raises:
        Refused: They differ.
    """
    if before and now and before != now:
        raise Refused(
            "the file key in CARELEDGER_HOME is not the one by which charged records were split "
            "and are known again, so that records that trained would be tested; restore it from a "
            "backup, or copy it from the home that ran those jobs"
        )


def _said(unit: Unit) -> str:
    return f"data.id: {unit[0]}" if len(unit) == 1 else f"all {len(unit)} columns without data.id"


def _mend(before: Unit, now: Unit) -> str:
    if len(before) == 1:
        return f"set data.id: {before[0]}"
    if len(now) == 1:
        return "leave data.id out, and the columns of the file as they were"
    more = [name for name in now if name not in before]
    less = [name for name in before if name not in now]
    said = [f"take {', '.join(more)} out of the file"] if more else []
    said += [f"put {', '.join(less)} back into it"] if less else []
    return " and ".join(said)
