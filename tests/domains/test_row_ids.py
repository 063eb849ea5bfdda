"""A record without an id is known by its content, however its file spells it."""

import numpy as np
import pandas as pd
import pytest

from domains.row_ids import plain_id, row_ids

FRAME = pd.DataFrame(
    {"amount": [1, 2, 3], "sold": [True, False, True], "sector": ["a", None, "b"], "n": [7, 7, 8]}
)


def test_the_order_of_columns_changes_no_id() -> None:
    assert (
        row_ids(FRAME[["n", "sector", "amount", "sold"]], b"k" * 16) == row_ids(FRAME, b"k" * 16)
    ).all()


def test_an_empty_field_elsewhere_changes_no_other_id() -> None:
    more = pd.concat([FRAME, pd.DataFrame({"amount": [np.nan], "sector": ["c"]})])
    assert more["amount"].dtype == float
    assert more["sold"].dtype == object
    assert (row_ids(more)[:3] == row_ids(FRAME)).all()


def test_only_equal_records_share_an_id_and_another_key_gives_others() -> None:
    twice = pd.concat([FRAME, FRAME.iloc[:1]], ignore_index=True)
    ids = row_ids(twice, b"k" * 16)
    assert ids[0] == ids[3]
    assert len(set(ids)) == 3
    assert not set(ids) & set(row_ids(twice, b"l" * 16))
    assert not set(ids) & set(row_ids(twice))


@pytest.mark.parametrize(
    ("value", "plain"),
    [(7, "7"), (7.0, "7"), ("007", "7"), (" 7 ", "7"), ("000", "0"), ("7a", "7a"), ("-7", "-7")],
)
def test_a_given_id_is_the_same_however_a_file_spells_its_number(value: object, plain: str) -> None:
    assert plain_id(value) == plain
