"""What a pool of endpoints knows of time: how long a server asks to wait, and how long to wait without being asked."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.llm.pool import LONGEST_BACK_OFF, back_off, retry_after

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0.25 "}, 0.25),
        ({"retry-after": "0"}, 0),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, 0),
        ({"retry-after": formatdate(NOW + 1290, usegmt=True), "date": formatdate(NOW + 1200, usegmt=True)}, 90),
        ({"retry-after": formatdate(NOW - 1110, usegmt=True), "date": formatdate(NOW - 1200, usegmt=True)}, 90),
        ({"retry-after": formatdate(NOW + 90, usegmt=True), "date": "today"}, 90),
        ({"retry-after": formatdate(NOW + 1e6, usegmt=True)}, 3600),
        ({"retry-after": "1000000"}, 3600),
        ({"retry-after": "9" * 400}, 3600),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "-1"}, 0),
        ({"retry-after-ms": "nan"}, 0),
        ({"retry-after-ms": "inf"}, 3600),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.2.3"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "Mon, 99 Foo 2024 25:61:61 GMT"}, None),
        ({"retry-after-ms": "a while"}, None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers, seconds):
    found = retry_after(headers, NOW)
    assert found == (seconds if seconds is None else pytest.approx(seconds, abs=1))


@given(st.text(max_size=40), st.booleans())
def test_no_header_breaks_it(text, in_ms):
    found = retry_after({"retry-after-ms" if in_ms else "retry-after": text}, time.time())
    assert found is None or 0 <= found <= 3600


def test_the_pause_doubles_up_to_a_limit():
    assert 0.5 <= back_off(1) <= 1.5
    assert 4.0 <= back_off(4) <= 5.0
    assert back_off(200) == LONGEST_BACK_OFF
