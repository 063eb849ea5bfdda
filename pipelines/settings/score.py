"""Configuration of a scoring."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pipelines.settings.base import Section


class ScoreConfig(Section):
    """Score a file, or every file of a folder that has no output yet."""

    model: str = Field(
        min_length=1, description="MODEL (its champion), MODEL@alias or MODEL/version"
    )
    input: Path = Field(
        description="CSV, gzipped CSV, Parquet, folder or manifest of images; or a folder of such"
    )
    output: Path = Field(
        description=".csv, .csv.gz or .parquet; a folder where the input is a folder of inputs"
    )
    id: str | None = Field(
        None,
        description="Column of the ids; default: that of the training data, else row numbers",
    )
    image: str | None = Field(
        None, description="Column of a manifest that names image files; default: path or image"
    )
    reasons: bool = Field(
        False,
        description="Whether a net, trees or a model of patients give columns of reasons too, at "
        "many times the cost of scoring; a scorecard always does",
    )
    chunk: int | None = Field(
        None, ge=1, description="Rows a piece; default: 65536 of a table, 256 images"
    )
