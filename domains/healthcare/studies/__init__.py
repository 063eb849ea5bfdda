"""Built-in studies of patients: one small file each, and one line here."""

from __future__ import annotations

from domains.healthcare.studies.framingham import FRAMINGHAM
from domains.healthcare.studies.nafld import NAFLD
from domains.healthcare.studies.nhanes import NHANES
from domains.healthcare.studies.study import Study
from domains.healthcare.studies.support2 import SUPPORT2

__all__ = ["STUDIES", "Study"]

STUDIES: dict[str, Study] = {study.name: study for study in (SUPPORT2, FRAMINGHAM, NAFLD, NHANES)}
"""Every built-in study by name."""
