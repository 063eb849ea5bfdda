"""Which records a data name stands for, so that a new name for old records buys no new budget."""

import numpy as np
from numpy.typing import NDArray

from domains.errors import Refused
from privacy.chain import Book
from privacy.fingerprints import shared

FEW_SHARED = 10  # rows that two unrelated files may have in common by chance
SHARE = 0.01  # of the smaller file, likewise


def remember(book: Book, data_name: str, numbers: NDArray[np.uint64]) -> None:
    """Write down the fingerprints that this name has not brought yet.

    Raises:
        Refused: more than ten, and more than one in a hundred of the smaller file, are known
            under another name.
    """
    known, sizes = _known_names(book, numbers)
    for name, common in known.items():
        count, smaller = int(common.sum()), min(len(numbers), sizes[name])
        if name != data_name and count > max(FEW_SHARED, SHARE * smaller):
            raise Refused(
                f"{count} records of {data_name} are known under the name {name}, whose budget "
                f"they spend; give the data the name {name}"
            )
    new = numbers[~known[data_name]] if data_name in known else numbers
    if len(new):
        detail = {"data": data_name, "records": len(new)}
        book.append("records", detail=detail, payload=new.tobytes())


def _known_names(
    book: Book, numbers: NDArray[np.uint64]
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, int]]:
    """For each data name in the ledger, which of the fingerprints it has, and how many in all."""
    known: dict[str, NDArray[np.bool_]] = {}
    sizes: dict[str, int] = {}
    for entry in book.entries:
        if entry.kind == "records":
            name = entry.detail["data"]
            found = known.setdefault(name, np.zeros(len(numbers), dtype=bool))
            found |= shared(numbers, book.payload(entry))
            sizes[name] = sizes.get(name, 0) + int(entry.detail["records"])
    return known, sizes
