import dataclasses

import pytest

from datagen.config import model as configs
from datagen.records import Candidate
from datagen.text import wording

TEXTS = [
    "The mill at Hexham was sold in 1850 to the brothers Orr, who had come from Leeds the year before that.",
    "John Orr kept bees behind the mill, and wrote a book about them that nobody bought.",
    "In 1862 the book was printed again by a friend of his widow, and three copies of it are known.",
    "Of the mill itself only a wall is left.",
    "It rained.",
]
GOOD = Candidate(
    "d/c0/q0",
    "d/c0",
    "d",
    0,
    "m",
    "multi-hop",
    "In which year was the book that a buyer of the Hexham mill wrote on his bees first reprinted?",
    "1862",
    [0, 1, 2],
    [],
    [],
    [],
)


def problem(texts=TEXTS, cluster=(0, 1, 2, 3), **given):
    row = dataclasses.replace(GOOD, **given)
    return wording.flaw(row.question, row.answer, row.ref_chunks, cluster, texts, configs.load(None))


def test_nothing_is_wrong_with_a_good_one():
    assert problem() is None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"question": " "}, "empty"),
        ({"answer": "\n"}, "empty"),
        ({"question": "…"}, "empty"),
        ({"answer": "…"}, "empty"),
        ({"answer": "x" * 201}, "too long or too short"),
        ({"question": "Why " * 501 + "?"}, "too long or too short"),
        ({"ref_chunks": [0, 5]}, "no such chunk"),
        ({"ref_chunks": [-1, 2]}, "no such chunk"),
        ({"ref_chunks": [2]}, "too little evidence"),
        ({"ref_chunks": [2, 2]}, "too little evidence"),
        ({"ref_chunks": [0, 1, 2, 3]}, "cites the whole cluster"),
        ({"question": TEXTS[0][:-1] + "?", "answer": "Newcastle"}, "copied from a chunk"),
        (
            {"question": "Was the book on bees printed again in 1862 by a friend?", "answer": "1862"},
            "answer in the question",
        ),
    ],
)
def test_what_is_wrong_on_the_face_of_it(given, reason):
    found = problem(**given)
    assert found
    assert found[0] == reason


@pytest.mark.parametrize(
    "question",
    [
        "According to chunk 3, who kept bees?",
        "Who kept bees, as the passage above says?",
        "What does this excerpt say of the mill?",
        "In the given passages, who kept bees?",
        "Which buyer is named in the second passage?",
        "Who is mentioned above?",
        "What do the provided chunks have in common?",
        "What is in <CHUNK_2>?",
        "From the context above, who kept bees?",
    ],
)
def test_a_question_must_not_point_at_the_text(question):
    found = problem(question=question, answer="John Orr")
    assert found is not None
    assert found[0] == "points at the text"


@pytest.mark.parametrize(
    "question",
    [
        "Which section of the army kept bees?",
        "Whose passage to India was paid for by the brothers?",
        "What became of the chunk of wall that fell in 1862?",
        "Who wrote the text on bees?",
        "In what context did the brothers sell the mill?",
    ],
)
def test_such_words_may_stand_in_a_question_about_the_world(question):
    assert problem(question=question, answer="John Orr") is None


@pytest.mark.parametrize(
    ("question", "wrong"),
    [
        ("Why did he keep bees?", True),
        ("What was her book about?", True),
        ("Their mill was sold to whom?", True),
        ("And how long did they live in Leeds?", True),
        ("How did the miller describe his bees?", False),
        ("Which of the brothers sold their share?", False),
        ("Why did John say that he kept bees?", False),
        ("How many years did it take to print the book again?", False),
        ("Who, after they had bought the mill, kept bees?", False),
    ],
)
def test_a_question_must_not_start_from_a_pronoun(question, wrong):
    found = problem(question=question, answer="for honey")
    assert (found is not None and found[0] == "starts from a pronoun") is wrong


@pytest.mark.parametrize("question", ["Which was built first, the mill or the church?", "Who was older, John or Ann?"])
def test_a_choice_may_name_what_is_chosen(question):
    assert problem(question=question, answer="John" if "John" in question else "the mill") is None


@pytest.mark.parametrize(
    ("question", "answer", "gives_away"),
    [
        ("Combien de moulins sur dix-sept restaient ouverts en 1653 ?", "Dix", False),
        ("How many of the twenty-one ships came back?", "Twenty", False),
        ("Quel âge avait Jean-Baptiste Fayol ?", "Jean-Baptiste", True),
        ("What began in the years 1848-1852?", "1848", True),
    ],
)
def test_a_part_of_a_compound_is_another_word(question, answer, gives_away):
    found = problem(question=question, answer=answer)
    assert (found is not None and found[0] == "answer in the question") is gives_away


def test_the_whole_of_a_cluster_of_three_may_be_needed():
    assert problem(cluster=(0, 1, 2)) is None


def test_copied_is_a_share_of_runs_of_words():
    assert wording.copied("too short to tell", TEXTS[0]) == 0.0
    assert wording.copied(TEXTS[0], TEXTS[0]) == 1.0
    assert 0 < wording.copied("So the mill at Hexham was sold to whom by whom and why?", TEXTS[0]) < 0.75
