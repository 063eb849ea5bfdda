"""Configuration, one place: a job's YAML file, the flow's parameters, and where things are kept.

The three job classes are the flows' parameters too, so that the file and Prefect's form say the
same. This package stays light: `careledger --help` must not wait for torch.
"""

from pipelines.settings.base import Job, Section
from pipelines.settings.credit import Clients, CreditConfig, CreditData, Grant, Privacy, Target
from pipelines.settings.imaging import ImagingConfig, ImagingData
from pipelines.settings.patients import Outcome, PatientsConfig, PatientsData
from pipelines.settings.places import home, home_key, ledger_path, writable_home
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
    "home",
    "home_key",
    "ledger_path",
    "load_config",
    "writable_home",
]
