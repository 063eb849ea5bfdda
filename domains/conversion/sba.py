"""Loans guaranteed by the US Small Business Administration, 1962 to 2014."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

_MONEY = ("DisbursementGross", "BalanceGross", "ChgOffPrinGr", "GrAppv", "SBA_Appv")
_DATES = ("ApprovalDate", "ChgOffDate", "DisbursementDate")
_COUNTS = ("ApprovalFY", "Term", "NoEmp", "CreateJob", "RetainedJob")
_CODES = ("NAICS", "NewExist", "FranchiseCode", "UrbanRural", "RevLineCr", "LowDoc")
_PLACES = ("State", "Zip", "Bank", "BankState")
_OTHER = ("LoanNr_ChkDgt", "MIS_Status")
_BORROWER = ("Name", "City", "State", "Zip")
_COLUMNS = [*_MONEY, *_DATES, *_COUNTS, *_CODES, *_PLACES, *_BORROWER, *_OTHER]
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
# Two-digit years run from 1961 to 2028: anything later belongs to the century before.
_LAST_YEAR = 2030


def sba(streams: list[IO[bytes]]) -> pa.Table:
    """The loans: money as float64 dollars, dates as timestamps, counts as int32, codes as text.

    The borrower's name and city are dropped; `borrower_id` numbers each distinct name, city, state
    and post code in order of appearance, so that a borrower's loans can be kept together. An empty
    field is missing. Text columns are dictionary-encoded, but for the loan's own number.
    """
    table = csv.read_csv(
        streams[0],
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(_COLUMNS, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    parsers: dict[str, tuple[Callable[[str], object], pa.DataType]] = {
        **dict.fromkeys(_MONEY, (_dollars, pa.float64())),
        **dict.fromkeys(_DATES, (_date, pa.timestamp("ms"))),
        **dict.fromkeys(_COUNTS, (_count, pa.int32())),
    }
    columns: dict[str, pa.ChunkedArray] = {"borrower_id": _borrower_ids(table)}
    for name in (n for n in table.column_names if n not in ("Name", "City")):
        column = table.column(name)
        if name in parsers:
            column = _mapped(column, *parsers[name])
        elif name != "LoanNr_ChkDgt":
            column = column.dictionary_encode()
        columns[name] = column
    return pa.table(columns)


def _mapped(
    column: pa.ChunkedArray, parse: Callable[[str], object], kind: pa.DataType
) -> pa.ChunkedArray:
    """Parse each distinct text once: 100 thousand amounts for 900 thousand loans."""
    encoded = column.combine_chunks().dictionary_encode()
    values = pa.array([parse(text) for text in encoded.dictionary.to_pylist()], type=kind)
    return pa.chunked_array([values.take(encoded.indices)])


def _dollars(text: str) -> float:
    """`"$60,000.00 "` → 60000.0"""
    return float(text.strip().replace("$", "").replace(",", ""))


def _count(text: str) -> int:
    """`"1976A"` (a fiscal year's second half) → 1976"""
    return int(text.strip().rstrip("A"))


def _date(text: str) -> datetime.datetime:
    """`"28-Feb-97"` → 1997-02-28, whatever the machine's language."""
    day, month, year = text.strip().split("-")
    full = 2000 + int(year)
    return datetime.datetime(
        full if full <= _LAST_YEAR else full - 100, _MONTHS.index(month) + 1, int(day)
    )


def _borrower_ids(table: pa.Table) -> pa.ChunkedArray:
    """A number for each distinct borrower, shape (n,), int32."""
    parts = [pc.fill_null(table.column(name), "") for name in _BORROWER]
    who = pc.binary_join_element_wise(*parts, "\x1f").combine_chunks()
    return pa.chunked_array([who.dictionary_encode().indices.cast(pa.int32())])
