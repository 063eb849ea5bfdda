"""Configuration, one place: a job's YAML file, the flow's parameters, and where things are kept.

The three job classes are the flows' parameters too, so that the file and Prefect's form say the
same. This package stays light: `careledger --help` must not wait for torch.
"""

from pipelines.settings.base import Job, Section
from pipelines.settings.credit import CreditConfig, CreditData, Grant, Privacy, Target
from pipelines.settings.credit_clients import Clients
from pipelines.settings.imaging import ImagingConfig
from pipelines.settings.imaging_data import ImagingData
from pipelines.settings.patients import Outcome, PatientsConfig
from pipelines.settings.patients_data import PatientsData
from pipelines.settings.places import (
    has_ledger,
    has_store,
    home,
    home_key,
    ledger_path,
    ledger_place,
    open_ledger,
    writable_home,
)
from pipelines.settings.reading import CONFIGS, load_config
from pipelines.settings.score import ScoreConfig

__all__ = [
    "CONFIGS",
    "Clients",
    "CreditConfig",
    "CreditData",
    "Grant",
    "ImagingConfig",
    "ImagingData",
    "Job",
    "Outcome",
    "PatientsConfig",
    "PatientsData",
    "Privacy",
    "ScoreConfig",
    "Section",
    "Target",
    "has_ledger",
    "has_store",
    "home",
    "home_key",
    "ledger_path",
    "ledger_place",
    "load_config",
    "open_ledger",
    "writable_home",
]
