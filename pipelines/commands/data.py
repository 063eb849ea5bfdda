"""`careledger data`: public data, pinned and cached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from domains.errors import InputError
from pipelines import settings
from pipelines.commands.options import AsJson, Overrides, say

app = typer.Typer(help="Public data, pinned and cached.", no_args_is_help=True)


@app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """Name, rows, licence, provenance of every source, and whether it is cached."""
    from domains.sources import SOURCES, cached

    rows: list[dict[str, Any]] = [
        {
            "name": source.name,
            "about": source.about,
            "rows": source.rows,
            "licence": source.licence,
            "provenance": source.provenance,
            "cached": cached(source.name) is not None,
        }
        for source in SOURCES.values()
    ]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        state = "cached" if row["cached"] else "not cached"
        count = f"{row['rows']:,} rows" if row["rows"] else "weights"
        print(f"{row['name']}  {count}  {state}")
        for key in ("about", "licence", "provenance"):
            print(f"    {row[key]}")


@app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help="A name of `data list`, or medmnist/NAME.")],
) -> None:
    """Fetch a source, verify it and keep it in the cache; prints the file."""
    from domains import sources

    if name.startswith("medmnist/"):
        path = sources.fetch_medmnist(name.removeprefix("medmnist/"), progress=say)
    else:
        path = sources.fetch(name, progress=say)
    print(path)


@app.command("rows")
def data_rows(
    output: Annotated[Path, typer.Option(help="Parquet or CSV file to write.")],
    config: Annotated[Path | None, typer.Option(help="YAML file of the patients job.")] = None,
    input_: Annotated[
        Path | None, typer.Option("--input", help="Visits to read alike; default: the job's own.")
    ] = None,
    set_: Overrides = None,
) -> None:
    """Write patients' records as a patients job reads them: visits as one row a patient."""
    job = settings.load_config("patients", config, set_)
    if output.suffix not in (".csv", ".parquet"):
        raise InputError(f"--output {output}: expected a name that ends in .csv or .parquet")
    from pipelines.steps.patients.rows import rows_of

    rows = rows_of(cast(settings.PatientsConfig, job), input_)
    write = rows.to_csv if output.suffix == ".csv" else rows.to_parquet
    write(output, index=False)
    print(f"{output}: {len(rows):,} rows, {len(rows.columns)} columns")
