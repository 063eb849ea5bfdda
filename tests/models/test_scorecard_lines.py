"""The lines of a table of points: every value a loan can have stands in exactly one of them."""

from __future__ import annotations

import pytest

from domains.banking.features import Numeric
from models.credit_encoding import Coding, Encoder
from models.scorecard_points import Scorecard

Z = 1e-6  # zero's own bin lies between this on either side


@pytest.mark.parametrize(
    ("edges", "named"),
    [
        ((-Z, Z, 5.0, 9.0), ["0 and less", "above 0 to below 5", "5 and more"]),
        ((-9.0, -Z, Z, 9.0), ["below 0", "0", "above 0"]),
        ((-9.0, -5.0, -Z, Z), ["below -5", "-5 to below 0", "0 and more"]),
        ((1.0, 2.0, 3.0), ["below 2", "2 and more"]),
    ],
)
def test_zero_stands_where_the_bins_put_it(edges: tuple[float, ...], named: list[str]) -> None:
    encoder = Encoder((Numeric("paid", edges),), (), Coding("steps"))
    card = Scorecard(encoder, (tuple(range(len(named) + 1)),), 0)
    assert [line.value for line in card.lines()[1:]] == [*named, "empty"]
