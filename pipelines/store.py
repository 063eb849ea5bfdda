"""The local MLflow store: one SQLite file in the home folder.

A fresh store runs some sixty schema migrations. They are run once a version of MLflow, on a
template in the cache; every further home gets a copy.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from domains.errors import InputError
from domains.fetching import cache_folder, locked, replacing


def prepare_store(home: Path) -> str:
    """Make `home/mlflow.db` unless it is there; two processes may ask at once.

    Returns:
        Its address, as MLflow's tracking and registry URI.
    """
    path = home / "mlflow.db"
    if not path.exists():
        copy_template(f"mlflow-{version('mlflow')}.db", path, _create_tables)
    return f"sqlite:///{path}"


def copy_template(name: str, path: Path, create: Callable[[Path], None]) -> None:
    """Make a database from its template in the cache, making the template first if need be.

    Args:
        name: File name of the template, with the version that wrote its schema.
        path: The database to make; one that exists is left alone.
        create: Writes the schema, and nothing else, into an empty file.
    """
    with locked(path):
        if path.exists():
            return
        with replacing(path) as part:
            try:
                shutil.copyfile(_template(name, create), part)
            except (OSError, InputError):  # a cache that cannot be written costs time, no more
                create(part)


def _template(name: str, create: Callable[[Path], None]) -> Path:
    folder = cache_folder() / "templates"
    folder.mkdir(exist_ok=True)
    template = folder / name
    with locked(template):
        if not template.exists():
            with replacing(template) as part:
                create(part)
    return template


def _create_tables(path: Path) -> None:
    """MLflow's tables and no experiment: that one would name the first home's artifact folder."""
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(f"sqlite:///{path}")
    loggers = [logging.getLogger("alembic"), logging.getLogger("mlflow.store.db.utils")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)  # a line a migration is no news
        _initialize_tables(engine)
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        engine.dispose()
