import pytest

from datagen import figures


@pytest.mark.parametrize(
    ("per_second", "unit", "shown"),
    [
        (173.2, "", "173/s"),
        (24.4, "tokens", "24 tokens/s"),
        (9.96, "", "10/s"),
        (1.0, "", "1.0/s"),
        (0.05, "", "3.0/min"),
        (1 / 90, "tokens", "40 tokens/h"),
        (1 / 36_000, "", "0.10/h"),
        (1e-9, "", "0.0000036/h"),
        (0.0, "", ""),
    ],
)
def test_a_rate_is_told_in_the_time_that_sees_one(per_second, unit, shown):
    assert figures.rate(per_second, unit) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "$0.00"),
        (0.0004, "$0.0004"),
        (0.000437, "$0.00044"),
        (0.00001, "$0.00001"),
        (2e-7, "under $0.000001"),
        (0.1, "$0.10"),
        (0.999, "$1.00"),
        (12.345, "$12.35"),
        (1234.5, "$1,234.50"),
    ],
)
def test_a_price_keeps_the_digits_that_tell(value, shown):
    assert figures.dollars(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.00417, "0.0042 s"), (0.5, "0.50 s"), (26.21, "26.2 s"), (1250, "1,250 s")]
)
def test_a_time_is_never_no_time(value, shown):
    assert figures.seconds(value) == shown
