"""Configuration, one place: a job's YAML file, the flow's parameters, and where things are kept.

The three job classes are the flows' parameters too, so that the file and Prefect's form say the
same. This module stays light: `careledger --help` must not wait for torch.
"""

from __future__ import annotations

import datetime
import os
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from domains.errors import InputError
from pipelines.environment import home_folder

Scale = Literal["tiny", "small", "full"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A part of a configuration: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Job(Section):
    """What every job may say."""

    seed: int = Field(0, ge=0, description="Moves everything random; the split of public data too")
    scale: Scale = Field("full", description="tiny for tests, small for a demonstration")
    model_name: str | None = Field(None, description="Registered name; default PIPELINE-DATA")
    controls: Literal["auto", "full", "none"] = Field(
        "auto", description="auto: every control on public data, none of them on private data"
    )


# ------------------------------------------------------------------------------------- imaging


class ImagingData(Section):
    """Where labelled images are."""

    kind: Literal["builtin", "folder", "manifest", "medmnist"] = "builtin"
    name: str | None = Field(None, description="Built-in or MedMNIST name, or a name of your own")
    path: Path | None = Field(None, description="Folder, manifest CSV or .npz file")
    image: str = Field("path", description="Manifest column: path of the image")
    label: str = Field("label", description="Manifest column, or the task of a built-in set")
    patient: str | None = Field(None, description="Manifest column: patient id")
    split: str | None = Field(None, description="Manifest column: train, validation, … test")
    public: bool = Field(False, description="Whether the images are public")
    max_unreadable: Share = Field(0.05, description="Share of unreadable images set aside")

    @model_validator(mode="after")
    def _names_its_source(self) -> ImagingData:
        if self.kind == "builtin" and self.name != "lidc":
            raise ValueError(f"built-in image sets: lidc; found {self.name!r}")
        if self.kind in ("folder", "manifest") and self.path is None:
            raise ValueError(f"kind {self.kind} needs path: the folder or manifest file")
        if self.kind == "medmnist" and (self.path is None) == (self.name is None):
            raise ValueError("kind medmnist needs either path (a .npz file) or name")
        return self


class ImagingConfig(Job):
    """Transfer learning and fine-tuning on medical images."""

    data: ImagingData = ImagingData(kind="builtin", name="lidc", label="malignancy")
    source: ImagingData | None = Field(
        None, description="Source task that a base is trained on first; lidc brings its own"
    )
    backbone: Literal["efficientnet-lite0", "densenet121"] = "efficientnet-lite0"
    weights: Path | None = Field(None, description="Local base weights (.safetensors or .pt/.pth)")
    strategy: Literal["auto", "transfer", "finetune"] | list[Literal["transfer", "finetune"]] = (
        "auto"
    )
    finetune_blocks: int | None = Field(
        None, ge=1, description="Train only the last k blocks; default by scale, all for full"
    )
    image_size: int | None = Field(
        None, ge=32, le=512, description="Side images are resized to; default 64, and 48 for lidc"
    )
    epochs: int | None = Field(None, ge=1, description="Fine-tuning epochs; default by scale")
    learning_rate: float = Field(1e-3, gt=0, description="Of the head; the base's decays by depth")
    batch_size: int = Field(32, ge=2)


# ------------------------------------------------------------------------------------ patients


class PatientsData(Section):
    """Where patients' records are."""

    name: str | None = None
    path: Path | None = Field(None, description="CSV or Parquet, plain or gzipped")
    patient: str | None = Field(None, description="Column of the patient id; default: each row")
    time: str | None = Field(None, description="Column of the visit's time; never a feature")
    public: bool = Field(False, description="Whether the records are public; built-in ones are")

    @model_validator(mode="after")
    def _names_its_source(self) -> PatientsData:
        if self.path is None and self.name != "support2":
            raise ValueError(f"built-in patient sets: support2; found {self.name!r}")
        return self


class Outcome(Section):
    """One thing predicted about a patient."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    kind: Literal["binary", "multiclass", "regression", "survival"]
    column: str | None = Field(None, description="Target column; for survival use time and event")
    positive: list[bool | str | int | float] | None = Field(
        None, description="Binary, survival event: values that mean yes; default: 0 and 1 are held"
    )
    transform: Literal["none", "log1p"] = "none"
    missing: list[str | int | float] = Field(default=[], description="Codes that mean unknown")
    time: str | None = None
    event: str | None = None
    horizons: list[Annotated[float, Field(gt=0)]] | None = Field(
        None, description="Survival: times to answer at, in the unit of the time column"
    )

    @model_validator(mode="after")
    def _names_its_columns(self) -> Outcome:
        if self.kind == "survival":
            if self.time is None or self.event is None:
                raise ValueError(f"outcome {self.name}: survival needs time and event columns")
        elif self.column is None:
            raise ValueError(f"outcome {self.name}: kind {self.kind} needs column")
        for key, kinds in _OUTCOME_KEYS.items():
            if key in self.model_fields_set and self.kind not in kinds:
                raise ValueError(
                    f"outcome {self.name}: {key} is for kind {' and '.join(kinds)}, "
                    f"found kind {self.kind}"
                )
        return self


_OUTCOME_KEYS = {
    "column": ("binary", "multiclass", "regression"),
    "positive": ("binary", "survival"),
    "transform": ("regression",),
    "time": ("survival",),
    "event": ("survival",),
    "horizons": ("survival",),
}


class PatientsConfig(Job):
    """Many outcomes from one record."""

    data: PatientsData = PatientsData(name="support2")
    exclude: list[str] = Field(default=[], description="Columns that leak or must not be used")
    outcomes: list[Outcome] = Field(default=[], description="At least one; support2 brings its own")
    test: PatientsData | None = Field(None, description="An external test set")
    sharing: Literal["none", "hard"] = Field("hard", description="none: a network an outcome")
    balancing: Literal["equal"] = Field("equal", description="How outcomes' losses are weighed")
    hidden: int = Field(128, ge=4)
    epochs: int | None = Field(None, ge=1, description="Default by scale; stops early")

    @model_validator(mode="after")
    def _has_outcomes(self) -> PatientsConfig:
        if self.data.path is not None and not self.outcomes:
            raise ValueError("outcomes: name at least one outcome for a file of your own")
        names = [outcome.name for outcome in self.outcomes]
        if taken := {"mean", "external"} & set(names):
            raise ValueError(f"outcomes: the name {taken.pop()!r} is taken; choose another")
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"outcomes: named twice: {', '.join(sorted(twice))}")
        if self.test is not None and self.test.path is None:
            raise ValueError("test: needs path, a file with the same columns as the data")
        return self


# -------------------------------------------------------------------------------------- credit


class CreditData(Section):
    """Where loans are."""

    name: str | None = Field(None, description="Built-in name, or the name owners are kept under")
    path: Path | None = Field(None, description="CSV or Parquet, plain or gzipped")
    id: str | None = Field(None, description="Column of the borrower id; default: the row itself")
    date: str | None = Field(None, description="Column of the approval date")
    approved: tuple[datetime.date, datetime.date] | None = Field(
        None, description="First and last day of approval of the loans that take part"
    )
    out_of_time: datetime.date | None = Field(
        None, description="Loans approved from this day on are the out-of-time test"
    )
    public: bool = False

    @model_validator(mode="after")
    def _names_its_source(self) -> CreditData:
        if self.path is None and self.name != "sba":
            raise ValueError(f"built-in credit sets: sba; found {self.name!r}")
        if self.path is not None and self.date is None and (self.approved or self.out_of_time):
            raise ValueError("data.date: needed for approved and out_of_time")
        return self


class Target(Section):
    """What default means."""

    column: str
    positive: str | int | float = 1


class Clients(Section):
    """Who the clients are: a column names them, or the job cuts them."""

    column: str | None = None
    top: int | None = Field(None, ge=1, description="Only the largest")
    count: int | None = Field(None, ge=1)
    by: Literal["iid", "dirichlet"] = "iid"
    alpha: float = Field(0.5, gt=0)

    @model_validator(mode="after")
    def _one_way(self) -> Clients:
        if (self.column is None) == (self.count is None):
            raise ValueError("clients: give either column (who names them) or count (cut here)")
        return self


class Grant(Section):
    """What each owner allows in all, ever."""

    epsilon: float = Field(gt=0)
    delta: float = Field(1e-5, gt=0, lt=1)


class Privacy(Section):
    """What one job may spend of each owner's budget."""

    epsilon: float = Field(3.0, gt=0)
    delta: float = Field(1e-5, gt=0, lt=1)
    grant: Grant | None = None
    setup_share: float = Field(
        0.1, gt=0, lt=1, description="Share of ε for bins and categories that are not public"
    )


class CreditConfig(Job):
    """Default risk learned across lenders that keep their loans."""

    data: CreditData = CreditData(name="sba")
    target: Target | None = Field(None, description="Default: what the built-in set means")
    exclude: list[str] = Field(default=[], description="Columns that leak or must not be used")
    clients: Clients | None = None
    protected: list[str] = Field(default=[], description="Columns that are never features")
    model: Literal["mlp"] = "mlp"
    bounds: dict[str, tuple[float, float]] = Field(default={}, description="Public bounds")
    categories: dict[str, list[str | int | float]] = Field(
        default={}, description="Public lists of values"
    )
    privacy: Privacy | None = Privacy(epsilon=3.0, delta=1e-5)
    release: Literal["metrics"] | None = Field(
        None, description="metrics: test metrics may leave their owner; public data always may"
    )
    rounds: int = Field(40, ge=1)
    local_steps: int = Field(4, ge=1, description="Steps a client takes each round")
    sampling_rate: float = Field(0.05, gt=0, le=1, description="Poisson sampling of each step")
    clip_norm: float = Field(1.0, gt=0, description="Largest norm of one record's gradient")
    learning_rate: float = Field(1.0, gt=0, description="Of the clients' steps")
    momentum: float = Field(0.8, ge=0, lt=1, description="Of the averaged step of each round")
    hidden: int = Field(16, ge=1, description="Hidden units of the net")
    bins: int = Field(8, ge=2, description="Bins of a number without public bounds")

    @model_validator(mode="after")
    def _complete(self) -> CreditConfig:
        if self.data.path is not None:
            for key in ("target", "clients"):
                if getattr(self, key) is None:
                    raise ValueError(f"{key}: needed for a file of your own")
            if self.privacy is not None and self.data.name is None:
                raise ValueError("data.name: a private run needs the name its owners are kept by")
            if self.privacy is None and not self.data.public:
                raise ValueError(
                    "privacy: null needs data.public: true; private records are charged"
                )
            if self.controls == "full" and not self.data.public:
                raise ValueError(
                    "controls: full trains without privacy, which private records refuse; "
                    "expected auto or none, or data.public: true"
                )
        return self


CONFIGS: dict[str, type[Job]] = {
    "imaging": ImagingConfig,
    "patients": PatientsConfig,
    "credit": CreditConfig,
}
"""The configuration of each pipeline."""


# ------------------------------------------------------------------------------ reading a file


def load_config(
    pipeline: str,
    path: Path | None = None,
    overrides: list[str] | None = None,
    scale: str | None = None,
) -> Job:
    """Read a job's configuration.

    Args:
        pipeline: `imaging`, `patients` or `credit`.
        path: YAML file; None for the defaults. Paths inside are relative to the file's folder.
        overrides: `key.path=value`, the value read as YAML.
        scale: Replaces the file's `scale`.

    Raises:
        InputError: The file is missing or not YAML, or a key is unknown, missing or of the
            wrong type; names the key, what was found and what was expected.
    """
    values = _read_yaml(path) if path else {}
    for override in overrides or []:
        _set(values, override)
    if scale is not None:
        values["scale"] = scale
    where = str(path) if path else f"the {pipeline} configuration"
    try:
        config = CONFIGS[pipeline].model_validate(values)
    except ValidationError as error:
        raise InputError(f"{where}: {_explain(error)}") from None
    return _resolve(config, path.parent if path else Path.cwd())


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such configuration file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        line = getattr(error, "problem_mark", None)
        place = f", line {line.line + 1}" if line else ""
        raise InputError(f"{path}{place}: not YAML: {getattr(error, 'problem', error)}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected keys and values, found {type(values).__name__}")
    return values


def _set(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise InputError(f"--set {override}: expected key.path=value")
    *parents, last = name.split(".")
    for parent in parents:
        inner = values.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise InputError(f"--set {override}: {parent} holds a value, not further keys")
        values = inner
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"--set {override}: the value is not YAML") from None


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        # A part with a bracket names a branch of a union in pydantic's words, not a key.
        parts = [str(part) for part in item["loc"] if "[" not in str(part)]
        key = ".".join(parts) or "the whole"
        found = item.get("input")
        shown = "" if isinstance(found, dict | list) else f", found {found!r}"
        if item["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key")
        elif item["type"] == "missing":
            lines.append(f"{key}: missing, and needed")
        elif item["type"] == "value_error":
            lines.append(item["msg"].removeprefix("Value error, "))
        else:
            expected = item["msg"].removeprefix("Input should be ")
            lines.append(f"{key}: expected {expected}{shown}")
    return "; ".join(dict.fromkeys(lines))


def _resolve(config: Job, folder: Path) -> Job:
    """Make every path absolute, seen from the configuration file's folder."""
    changes: dict[str, Any] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Path):
            changes[name] = (folder / value).resolve()
        elif isinstance(value, Section) and isinstance(getattr(value, "path", None), Path):
            path = (folder / value.path).resolve()  # type: ignore[attr-defined]
            changes[name] = value.model_copy(update={"path": path})
    return config.model_copy(update=changes)


# ---------------------------------------------------------------------------- where things are


def home() -> Path:
    """Everything a run leaves behind: `CARELEDGER_HOME`, by default `.careledger` here."""
    folder = home_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"CARELEDGER_HOME {folder}: cannot be created ({error.strerror}); "
            "set it to a folder you may write to"
        ) from None
    return folder


def ledger_path() -> Path:
    """The privacy ledger of this installation."""
    return home() / "ledger.db"


def home_key() -> bytes:
    """This installation's secret, 32 bytes: keys splits, digests and fingerprints.

    It is made once, readable by its owner alone. Losing it moves private records between
    training and test, so it is kept beside the ledger and backed up with it.
    """
    path = home() / "key"
    if not path.exists():
        made = path.with_name(f"key.{os.getpid()}")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(32))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(made, path)  # the first of two processes wins; both then read its key
        except FileExistsError:
            pass
        finally:
            made.unlink()
    key = path.read_bytes()
    if len(key) != 32:
        raise InputError(f"{path}: expected 32 bytes, found {len(key)}; restore it from a backup")
    return key
