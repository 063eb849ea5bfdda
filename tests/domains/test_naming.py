"""Names in the order in which people read them."""

from domains.naming import natural


def test_numbers_in_names_rise_as_numbers() -> None:
    names = [f"part {number}" for number in range(1, 31)]
    assert sorted({*names}, key=natural) == names


def test_names_of_any_make_can_be_ordered_together() -> None:
    names = ["", "7", "07", "a", "7a", "a7", "a7b", "a10", "²", "Ünion 2", "Ünion 10"]
    ordered = sorted(names, key=natural)
    assert ordered[-2:] == ["Ünion 2", "Ünion 10"]
    assert ordered.index("a7") < ordered.index("a7b") < ordered.index("a10")
