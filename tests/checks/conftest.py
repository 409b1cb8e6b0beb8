from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checks.cases import TEXTS, made
from tests.stages.talking import Run


@pytest.fixture
def only_two(tmp_path: Path) -> Callable[..., Run]:
    """A document in which 0 and 3 alone hold the answer."""
    return lambda *candidates, **given: made(tmp_path, TEXTS[:5], *candidates, **given)
