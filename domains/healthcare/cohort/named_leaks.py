"""Features whose names say that they are estimates of the outcome, or known only afterwards.

A number that alone predicts an outcome too well is found by its values (`leakage`); a
clinician's estimate or a bill predicts it well, and not too well, and is found by its name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from domains.healthcare.studies import NAMES, find

_MOST_ALIKE = 5  # columns named as in a study, from which on a file counts as one of its exports
_ENDS = (".last", ".trend", ".count", ".since")
_ESTIMATES = re.compile(
    r"apache\w*|saps\w*|sofa|mews|news\d?|aps|sps|surv\d+\w*|prg\d*\w*|prob|probability|"
    r"progno\w+|predict\w*|estimat\w+|risk|riskscore"
)
_AFTERWARDS = re.compile(
    r"discharged?|dischdisp|s?los|expired?|died|deaths?|dead|deceased|mortality|survived|"
    r"readmi\w+|followup|outcomes?|charges?|costs?|autopsy|censor\w*|dnr\w*"
)
_WORDS = re.compile(r"[A-Z]?[a-z]+\d*[a-z]*|[A-Z]+\d*(?![a-z])|\d+")


def by_name(features: Sequence[str], columns: Collection[str]) -> list[str]:
    """Warnings that name every such feature and why.

    Where a file has columns named as a built-in study's, what that study never takes as a feature
    is named with the study's own reason; other names are judged by the words in them.

    Args:
        features: Names of the features.
        columns: Names of all columns of the file, features or not.
    """
    reasons = _of_studies(columns)
    lines: list[str] = []
    estimates: list[str] = []
    afterwards: list[str] = []
    for feature in features:
        plain = next((feature.removesuffix(e) for e in _ENDS if feature.endswith(e)), feature)
        if plain in reasons:
            lines.append(f"Column {feature} is named as in {reasons[plain]}: exclude it.")
        elif _says(plain, _ESTIMATES):
            estimates.append(feature)
        elif _says(plain, _AFTERWARDS):
            afterwards.append(feature)
    lines += _asked(estimates, "an estimate or a score of what is predicted")
    return lines + _asked(afterwards, "recorded after the prediction")


def _asked(names: Sequence[str], what: str) -> list[str]:
    if not names:
        return []
    each = "each" if len(names) > 1 else "it"
    return [
        f"By name, {', '.join(names)} may be {what}: check that {each} is known when predictions "
        "are made, or exclude it."
    ]


def _of_studies(columns: Collection[str]) -> dict[str, str]:
    """Column → the study that it is named as in, and why that one never takes it."""
    found: dict[str, str] = {}
    for name in NAMES:
        study = find(name)
        never = {column: why for column, why in study.never.items() if column in set(columns)}
        if len(never) >= _MOST_ALIKE:
            found |= {column: f"{name}, where it is {why}" for column, why in never.items()}
    return found


def _says(name: str, pattern: re.Pattern[str]) -> bool:
    """Whether one of the words in a name matches as a whole: `riskScore_2`, `DISCHARGE-DAY`."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return any(pattern.fullmatch(word) for word in (*words, name.lower()))
