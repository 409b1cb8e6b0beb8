"""Questions about documents that are no plain prose: what is shown is prose, what is quoted stands in the chunk."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.tasks.cloze.compose import Cloze, Wanted, numbered, questions
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.options import Option, options
from datagen.tasks.cloze.prose import fault
from datagen.tasks.cloze.rules import Limits, check
from datagen.tasks.cloze.sentences import prose_sentences
from datagen.text.splitter import split
from datagen.text.syntax import Kind, kind_of
from datagen.text.tokenizers import load
from tests.text.specimens import SPECIMENS

LATEX = [
    r"""\documentclass{article}
\begin{document}
\section{The harbour}\label{sec:harbour}
In the winter of 1871 the keeper of the \emph{lighthouse} came to the island  % by boat
with a chest that was made in the town of Stavanger~\cite{miller}.
""",
    r"""The walls of the harbour were \textbf{built} of the stones of Halvorsen, who sold them for
\begin{equation} E = mc^2 \end{equation}
They said that the lamp of the tower had cost the king ``a fortune''---in the year of the storm it was
the most of what \textit{the crown of Aberdeen} had.
""",
    r"""It is known from~\cite{holberg} that the tower of the village was the work of the mason Rasmussen.
For all of the stones $\frac{a}{b}$ of the wall there is a stone in the tower of the mason Pedersen.
\end{document}
""",
]
PYTHON = [
    '''"""The tower and its lamp.

The lamp of the tower is lit by the keeper of the island, whose name is
kept in the register of Stavanger.
"""

import os
from pathlib import Path
''',
    """def light(lamp: Path) -> None:
    # The oil of the lamp is bought from a merchant in the city of
    # Halvorsen, since the one who sold it to the king of the island
    # has left for the winter.
    oil = "# The oil of this lamp is bought in the city of Trondheim by the king."
    os.remove(lamp)
""",
    """class Tower:
    # One wall of the tower fell in the storm, and it was built anew by a
    # mason who is known as Rasmussen to all of the people in the village.
    walls = 4
    stones = 12
""",
]
SUBTITLES = [
    "1\n00:00:01,000 --> 00:00:04,000\nIn the winter the keeper came to the island with a\nchest that was made\n\n"
    "2\n00:00:04,500 --> 00:00:07,250\n<i>in the town of Stavanger,</i> by the sea.\n",
    "3\n00:00:08,000 --> 00:00:10,000\n[Narrator] The oil of the lamp was bought\n\n"
    "4\n00:00:11,000 --> 00:00:12,000\nfrom a merchant whose name was Halvorsen, they say.\n",
]
RST = [
    """The tower
=========

.. _tower:

The keeper of the *lighthouse* is a :class:`~island.Keeper` of the tower, and its ``lamp`` is
the :ref:`lamp <lamps>` that was made in the town of Stavanger [1]_.
""",
    """.. code-block:: python

   The oil of this lamp is bought in the city of Trondheim by the king.

.. note::

   The oil of the lamp is bought from :term:`a merchant`, who is known
   as Halvorsen to all of the people in the village.
""",
    """The wall of the tower that fell is described at :ref:`wall_of_1911`, and the mason was a Rasmussen.
""",
]
SHOWN = {
    "latex": {
        "In the winter of 1871 the keeper of the lighthouse came to the island with a chest that was made in the town "
        "of _____.": "Stavanger",
        "They said that the lamp of the tower had cost the king “a fortune”—in the year of the storm it was the most "
        "of what the crown of _____ had.": "Aberdeen",
    },
    "python": {
        "The lamp of the tower is lit by the keeper of the island, whose name is kept in the register of _____.": (
            "Stavanger"
        ),
        "The oil of the lamp is bought from a merchant in the city of _____, since the one who sold it to the king of "
        "the island has left for the winter.": "Halvorsen",
        "One wall of the tower fell in the storm, and it was built anew by a mason who is known as _____ to all of the "
        "people in the village.": "Rasmussen",
    },
    "subtitles": {
        "In the winter the keeper came to the island with a chest that was made in the town of _____, by the sea.": (
            "Stavanger"
        ),
        "The oil of the lamp was bought from a merchant whose name was _____, they say.": "Halvorsen",
    },
    "rst": {
        "The keeper of the lighthouse is a island.Keeper of the tower, and its lamp is the lamp that was made in the "
        "town of _____.": "Stavanger",
        "The oil of the lamp is bought from a merchant, who is known as _____ to all of the people in the village.": (
            "Halvorsen"
        ),
    },
}
DOCUMENTS = {"latex": LATEX, "python": PYTHON, "subtitles": SUBTITLES, "rst": RST}


def made_of(doc: DocumentIndex, seed: int = 0, n: int = 3, least: int = 1) -> list[Cloze]:
    clusters = {"c": (range(len(doc.chunks)), random.Random(seed))}
    made = questions(doc, clusters, Wanted(n, least, 3), lambda b: "Which words are missing?\n" + numbered(b))["c"]
    return made if isinstance(made, list) else []


def all_options(chunks: list[str]) -> list[Option]:
    doc = DocumentIndex.build(chunks)
    return [option for i in range(len(chunks)) for option in options(doc, i)]


def assert_proven(doc: DocumentIndex, made: list[Cloze]) -> None:
    for cloze in made:
        verdict = check(cloze, doc, Limits(min_evidence=1))
        assert verdict.passed, (verdict.reason, verdict.detail)
        for term, quote, chunk in zip(cloze.terms, cloze.quotes, cloze.quote_chunks, strict=True):
            assert quote in doc.chunks[chunk]
            assert term in quote


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_sentences_are_asked_for_without_markup(kind: str):
    chunks = DOCUMENTS[kind]
    assert kind_of(chunks * 2) == kind
    found = {option.blanked: option.term for option in all_options(chunks)}
    assert SHOWN[kind].items() <= found.items()
    # Of what is set aside, of formulas, and where a work or a label would be a word of it, nothing is asked.
    words = ("Trondheim", "Rasmussen", "Pedersen", "wall_of_1911") if kind != "python" else ("Trondheim",)
    assert not any(word in blanked + term for blanked, term in found.items() for word in words)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_questions_are_proven(kind: str):
    doc = DocumentIndex.build(DOCUMENTS[kind])
    for seed in range(5):
        made = made_of(doc, seed, least=2)
        assert made
        assert_proven(doc, made)


def test_plain_prose_is_seen_as_it_is(story: DocumentIndex):
    assert [view.text for view in story.seen] == list(story.chunks)


def test_a_quote_is_what_stands_in_the_chunk():
    quotes = [option.quote for option in all_options(SUBTITLES)]
    assert quotes[0].startswith("In the winter the keeper came to the island with a\nchest that was made\n\n2\n00:")
    assert quotes[0].endswith("in the town of Stavanger,</i> by the sea.")
    assert all(any(quote in chunk for chunk in SUBTITLES) for quote in quotes)


def test_a_short_formula_is_read_like_a_word():
    text = (
        r"For each $n \le 2^k$ there is a stone of the wall that was made by the mason \emph{Halvorsen} for the king."
    )
    found = {option.blanked: option.term for option in all_options([*LATEX[:2], text])}
    wanted = "For each n ≤ 2ᵏ there is a stone of the wall that was made by the mason _____ for the king."
    assert found.get(wanted) == "Halvorsen"


def test_a_term_that_markup_divides_is_not_asked_for():
    text = LATEX[0].replace("Stavanger", r"Sta\textbf{vanger}")
    assert "Stavanger" not in [option.term for option in all_options([text, *LATEX[1:]])]


def test_a_sentence_that_stands_before_in_a_listing_is_not_asked_for():
    sentence = "One wall of the tower was built by a mason who is known as Ingrid to all of the village."
    chunks = [*PYTHON, f'x = "{sentence}"\n\n# {sentence}\n']
    assert kind_of(chunks) == "python"
    assert "Ingrid" not in [option.term for option in all_options(chunks)]


def test_a_copy_across_the_marks_of_a_comment_is_seen():
    made = made_of(DocumentIndex.build(PYTHON), n=1, least=3)
    copy = "# In short: the lamp of the tower is lit by the keeper of the island,\n# whose name is kept in the\n"
    again = DocumentIndex.build([*PYTHON, copy + "# register of Stavanger.\n"])
    assert made[0].terms[0] == "Stavanger"
    assert check(made[0], again).reason == "a sentence stands elsewhere too"


def test_a_question_that_shows_markup_is_rejected():
    doc = DocumentIndex.build(LATEX)
    made = made_of(doc, n=1, least=2)[0]
    raw = [" ".join(q.split()).replace(t, "_____") for q, t in zip(made.quotes, made.terms, strict=True)]
    assert any("\\" in sentence for sentence in raw)
    shown = replace(made, question="Which words are missing?\n" + numbered(raw))
    assert check(shown, doc).reason == "the question does not hold the blanked sentences"


def test_a_name_that_the_code_around_uses_is_not_rare():
    code = [f"def step_{i}(lamp):\n    return frobnicate(lamp, {i})\n" for i in range(8)]
    comment = "# The oil of the lamp is bought by a merchant in the city, and then `frobnicate` is called by it.\n"
    assert kind_of([*code, comment]) == "python"
    assert "frobnicate" not in [option.term for option in all_options([*code, comment])]


def test_a_name_that_a_program_uses_in_some_places_is_rare_where_few_comment_on_it():
    code = [f"def step_{i}(lamp):\n    return lamp, {i}\n" for i in range(60)]
    for i in range(4):
        code[i] += f"    lightLamp({i})\n"
    comment = "# The oil of the lamp is bought by a merchant in the city, and then lightLamp is called by the king.\n"
    assert "lightLamp" in [option.term for option in all_options([*code, comment])]
    assert "lightLamp" not in [option.term for option in all_options([*code[:20], comment])]
    others = [
        f"# In this one the king of the city calls lightLamp for the {n} time.\n" for n in ("1st", "2nd", "3rd", "4th")
    ]
    assert "lightLamp" not in [option.term for option in all_options([*code, comment, *others])]


def test_what_is_left_to_do_is_no_sentence_of_a_program():
    assert fault("TODO: the oil of the lamp has to be bought by the merchant before the king comes.") == "boilerplate"
    assert fault("Todo el mundo sabe que la lámpara de la torre es la del rey de la ciudad.") is None


def test_a_comment_may_begin_with_the_name_that_it_is_about():
    assert fault("lightLamp is called by the king before the oil is bought by a merchant.") is None
    assert fault("light_lamp is called by the king before the oil is bought by a merchant.") is None
    two = "The oil of the lamp is bought by a merchant. lightLamp is called by the king before that is done.\n"
    assert [s.text[:9] for s in prose_sentences(two)] == ["The oil o", "lightLamp"]
    assert fault("lamps are lit by the king before the oil is bought by a merchant.") == "start"
    assert fault("lamps' Oil is lit by the king before the oil is bought by a merchant.") == "start"


@pytest.mark.parametrize(
    "text",
    [
        "For each stone $a_i + b$ of the wall there is a stone in the tower.",
        "The wall of the tower that fell is described at :ref:`wall` by the mason.",
        "The wall of the tower &mdash; the one that fell &#8212; was built by the mason.",
    ],
)
def test_what_is_left_of_markup_is_no_prose(text: str):
    assert fault(text) == "markup"


@pytest.mark.parametrize("sums", ["from $5 to $10", "for US$40/A$50", "of 5$ or 6$"])
def test_sums_of_money_are_no_formulas(sums: str):
    assert fault(f"The price of the wall of the tower rose {sums} in the year of the storm.") is None


@pytest.mark.parametrize("kind", SPECIMENS)
def test_specimens_of_every_kind(kind: Kind):
    text = SPECIMENS[kind].replace("a single night", "a night of Halvorsen").replace("men who", "Ragnvald who")
    found = 0
    for max_tokens in (24, 32, 48, 64, 80):
        doc = DocumentIndex.build([text[a:b] for a, b, _ in split(text, load("embedded"), max_tokens)])
        made = made_of(doc)
        found += len(made)
        assert_proven(doc, made)
    assert found


PIECES = [line + "\n" for chunk in LATEX + PYTHON + SUBTITLES + RST for line in chunk.split("\n")]
SIGNS = {
    "latex": "\\section{a}\n\\emph{b}\n\\cite{c}\n\\label{d}\n\\item e\n",
    "python": "import a\nimport b\nfrom c import d\n",
    "subtitles": "00:01.000 --> 00:02.000\n" * 4,
    "rst": ".. note::\n\n:ref:`a`\n:ref:`b`\n",
    "markdown": "# A\n\n**b** [c](d)\n\n## E\n\n",
    "html": "<p>a</p>\n" * 6,
    "c": "#include <a>\nint a;\n{\n}\n// b\n",
}


@settings(deadline=None)
@given(
    st.sampled_from(sorted(SIGNS)),
    st.lists(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), min_size=1, max_size=5),
    st.integers(0, 9),
)
def test_whatever_is_made_is_proven(kind: str, chunks: list[str], seed: int):
    doc = DocumentIndex.build([SIGNS[kind], *chunks])
    assert_proven(doc, made_of(doc, seed))
