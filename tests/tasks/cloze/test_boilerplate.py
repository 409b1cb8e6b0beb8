"""Where a document begins and ends without what a distributor puts around it."""

from __future__ import annotations

import pytest

from datagen.tasks.cloze.boilerplate import body

START = "*** START OF THE PROJECT GUTENBERG EBOOK THE HARBOUR ***"
SMALL_PRINT = "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*"


@pytest.mark.parametrize(
    "start", [START, START.replace("*** S", "***S"), SMALL_PRINT, f"{START}\nTerms.\n{SMALL_PRINT}"]
)
@pytest.mark.parametrize(
    "end",
    [
        "*** END OF THIS PROJECT GUTENBERG EBOOK",
        "End of the Project Gutenberg EBook of The Harbour",
        "*** START: FULL LICENSE ***",
        "***END OF THE PROJECT GUTENBERG EBOOK\n\nEnd of Project Gutenberg",
    ],
)
def test_what_stands_between_the_markers_is_the_book(start, end):
    chunks = ["Title", f"Terms.\n{start}\nOne came.", "Two went.", f"The end.\n{end}\nTerms."]
    assert body(chunks) == ((1, len(f"Terms.\n{start}\n")), (3, len("The end.\n")))


def test_a_marker_may_end_its_chunk():
    assert body([f"Title\n{START}", "One came."]) == ((0, len(f"Title\n{START}")), (2, 0))


def test_prose_that_names_a_marker_is_no_marker():
    told = "What is between *** START OF THE PROJECT GUTENBERG and *** END OF THE PROJECT GUTENBERG is the book.\nSo."
    assert body([told, "One came."]) == ((0, 0), (2, 0))
    assert body([]) == ((0, 0), (0, 0))
