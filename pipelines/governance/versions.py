"""From what a person writes, `MODEL[@alias|/version]`, to a version that answers."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow.exceptions import MlflowException

from domains.errors import InputError
from models.scorer import Scorer, describe, load
from pipelines.governance import registry


@dataclass(frozen=True)
class Loaded:
    """A registered version, ready to answer.

    Attributes:
        name, version: As registered.
        kind: `imaging`, `patients` or `credit`.
        run_id: The run that trained it.
        scorer: From raw records to predictions.
    """

    name: str
    version: str
    kind: str
    run_id: str
    scorer: Scorer


def resolve(reference: str) -> tuple[str, str]:
    """Name and version of `MODEL` (its champion), `MODEL@alias` or `MODEL/version`.

    Raises:
        InputError: No such model, version or alias; or the alias points to a deleted version.
    """
    name, at, alias = reference.partition("@")
    plain, slash, version = name.partition("/")
    if not plain or (at and (slash or not alias)) or (slash and not version):
        raise InputError(f"model {reference!r}: expected MODEL, MODEL@alias or MODEL/version")
    if slash:
        return plain, str(registry.get_version(plain, version).version)
    wanted = alias or registry.CHAMPION
    found = registry.alias_of(plain, wanted)
    if found is None:
        held = ", ".join(
            f"{v} {' '.join(a)}".strip() for n, v, a in registry.list_versions() if n == plain
        )
        raise InputError(
            f"{plain}: no version is {wanted!r}; versions: {held or 'none'}; "
            f"`careledger models promote {plain} VERSION` makes one champion"
        )
    return plain, str(registry.get_version(plain, found).version)


def load_version(name: str, version: str) -> Loaded:
    """Fetch a version's packed model and load it.

    Raises:
        InputError: Its artifacts are missing or damaged.
    """
    found = registry.get_version(name, version)
    try:
        folder = registry.package_folder(name, version)
        return Loaded(name, version, describe(folder)["kind"], str(found.run_id), load(folder))
    except InputError as error:
        raise _damaged(name, version, str(error)) from None
    except (MlflowException, OSError) as error:
        raise _damaged(name, version, "its artifacts are missing") from error
    except Exception as error:
        raise _damaged(name, version, f"its package is damaged ({type(error).__name__})") from error


def _damaged(name: str, version: str, what: str) -> InputError:
    return InputError(
        f"{name} version {version} cannot be loaded: {what}; restore its artifacts, or "
        f"`careledger models rollback {name}` to the champion before it"
    )
