"""Pages of a stretch of a document."""

import json

import pytest

from datagen.text import places

KNOWN = {"extractor": "pypdfium2 5", "pages": [[1, 0], [2, 100], [3, 100], [4, 250]]}
METADATA = json.dumps(KNOWN)


@pytest.mark.parametrize(
    ("start", "end", "pages", "said"),
    [
        (0, 50, (1, 1), "p. 1"),
        (0, 100, (1, 1), "p. 1"),
        (0, 101, (1, 3), "p. 1–3"),
        (100, 120, (3, 3), "p. 3"),
        (249, 251, (3, 4), "p. 3–4"),
        (900, 900, (4, 4), "p. 4"),
    ],
)
def test_the_pages_of_a_stretch(start, end, pages, said):
    assert places.pages_of(METADATA, start, end) == pages
    assert places.cited(METADATA, start, end) == said


@pytest.mark.parametrize(
    "metadata", ["{}", '{"pages": 12}', '{"pages": [[1, 0]]}', "", '{"extractor": 1, "pages": [1]}']
)
def test_metadata_without_places_knows_none(metadata):
    """A row's own column may be called so, too."""
    assert places.page_of(metadata, 3) is None
    assert places.cited(metadata, 0, 3) == ""
