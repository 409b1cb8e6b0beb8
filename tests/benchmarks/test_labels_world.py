"""The world that `benchmarks/labels.py` measures with: its labels are right, and the model errs at the rates set."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.labels_world import documents, facts, values
from benchmarks.labels_world.documents import Document, Odds, World
from benchmarks.labels_world.facts import Fact
from benchmarks.labels_world.kinds import KINDS, Question
from benchmarks.labels_world.measures import EXTRA, MISSING, OTHER, VAGUE, WRONG, label
from benchmarks.labels_world.model import Model
from benchmarks.labels_world.rates import LEVELS, Rates
from datagen import prompts
from datagen.grounding import tags

# Small enough to try all sets of chunks, and all that makes labels hard happens often.
SMALL = Odds((16, 18), 1, (5, 8), 2, repeat_inside=0.4, repeat_outside=0.4, shortcut=0.4, beyond=0.3)


@pytest.fixture(scope="module")
def small() -> World:
    return documents.build(1, 24, SMALL)


@pytest.fixture(scope="module")
def world() -> World:
    return documents.build(2, 24)


# What is true ---------------------------------------------------------------------------------------------------------


def solve(question: Question, known: set[Fact]) -> object:
    """The answer from these facts, or None; written down again, without the proofs that the makers note."""
    value = {(fact.subject, fact.relation): fact.value for fact in known}
    about = question.about
    if question.kind == "multi-hop":
        last = "birthplace" if question.asks == facts.TOWN else "birthday"
        teacher = value.get((about[0], "teacher"), "")
        return value.get((teacher, last)) or value.get((about[0], f"teacher's {last}"))
    if question.kind == "cause":
        return value.get((value.get((about[0], "cause"), ""), "cause"))
    if question.kind == "counting":
        return sum(fact.relation == "captain" and fact.value == about[0] for fact in known)
    if question.kind == "comparison":
        a, b = about
        older = {(fact.subject, fact.value) for fact in known if fact.relation == "older than"}
        years = [value.get((body, "founded")) for body in about]
        if None in years:
            return a if (a, b) in older else b if (b, a) in older else None
        return min(about, key=lambda body: int(value[body, "founded"]))
    relation = (
        {facts.NUMBER: "members", facts.PEOPLE: "chair"}[question.asks] if question.kind == "aggregation" else "founded"
    )
    found = [value.get((body, relation)) for body in about]
    together = f"{', '.join(about[:-1])} and {about[-1]}"
    if None in found:
        return value.get((together, "together"))
    if question.kind == "temporal":
        return str(int(found[1] or 0) - int(found[0] or 0))
    return str(sum(int(n or 0) for n in found)) if relation == "members" else f"{found[0]}, {found[1]} and {found[2]}"


def minimal_by_trying(document: Document, question: Question) -> set[frozenset[int]]:
    """All sets of chunks that give the answer that the whole document gives, and none of whose parts does."""
    right = solve(question, {fact for held in document.facts for fact in held})
    chunks = [i for i, held in enumerate(document.facts) if held]
    found: set[frozenset[int]] = set()
    for size in range(1, 7):
        for chosen in map(frozenset, combinations(chunks, size)):
            if any(smaller <= chosen for smaller in found):
                continue
            if solve(question, {fact for i in chosen for fact in document.facts[i]}) == right:
                found.add(chosen)
    return found


def questions(world: World) -> list[tuple[Document, Question]]:
    clear = [(d, plan.question) for d in world.documents for plans in d.plans for plan in plans]
    rivals = [(d, plan.vague.rival) for d in world.documents for plans in d.plans for plan in plans if plan.vague.rival]
    return clear + rivals


def test_sufficient_sets_are_what_trying_all_sets_finds(small: World):
    asked = questions(small)
    assert {question.kind for _, question in asked} == KINDS.keys()
    several = 0
    for document, question in asked:
        sets = document.sufficient(question)
        assert sets == minimal_by_trying(document, question), question.text
        several += len(sets) > 1
    assert several > 10


def test_answers_follow_from_the_whole_document(world: World):
    for document, question in questions(world):
        assert str(solve(question, {fact for held in document.facts for fact in held})) == question.answer


def test_a_chunk_says_what_is_noted_of_it(world: World):
    for document in world.documents:
        for text, held in zip(document.chunks, document.facts, strict=True):
            assert world.facts_in(text) == set(held)


def test_a_vague_question_has_two_answers(world: World):
    for question in world.questions.values():
        if question.rival:
            assert not values.same(question.answer, question.rival.answer, question.asks)


def test_no_chunk_of_its_cluster_alone_is_enough(world: World):
    for document in world.documents:
        for cluster, plans in zip(document.clusters, document.plans, strict=True):
            assert 5 <= len(cluster) <= 10
            for plan in plans:
                for chunks in document.sufficient(plan.question):
                    assert len(chunks) > 1 or not chunks <= set(cluster)


def test_the_same_seed_makes_the_same_world():
    assert documents.build(7, 2) == documents.build(7, 2)
    assert documents.build(7, 2).documents != documents.build(8, 2).documents


def test_labels_are_held_against_the_nearest_set(small: World):
    document, question = next((d, q) for d, q in questions(small) if len(d.sufficient(q)) == 1 and q.kind == "cause")
    (right,) = document.sufficient(question)
    beside = next(i for i in range(len(document.chunks)) if i not in right)
    assert label(small, question.text, question.answer, right).faults == ()
    assert label(small, question.text, "nothing", [*right, beside]).faults == (EXTRA, WRONG)
    swapped = label(small, question.text, question.answer, [min(right), beside])
    assert (swapped.faults, swapped.precision, swapped.recall) == ((MISSING, EXTRA), 0.5, 0.5)
    document, question = next(
        (d, q) for d, q in questions(small) if len(d.sufficient(q)) > 1 and q.text in small.questions
    )
    row = label(small, question.text, question.answer, min(document.sufficient(question), key=sorted))
    assert OTHER in row.faults
    assert (row.exact, row.lenient or VAGUE in row.faults) == (False, True)


# Wordings -------------------------------------------------------------------------------------------------------------


def test_wordings_say_the_same(world: World):
    for question in world.questions.values():
        for wording in values.wordings(question.answer, question.asks):
            assert wording != question.answer
            assert values.same(question.answer, wording, question.asks), wording


def test_other_values_do_not(world: World):
    for question in world.questions.values():
        for lure in question.lures:
            if lure.value != question.answer:
                assert not values.same(question.answer, lure.value, question.asks), lure


@given(st.integers(0, 1999), st.integers(0, 1999))
def test_numbers_in_words(a: int, b: int):
    assert values.same(str(a), values.in_words(b), facts.NUMBER) == (a == b)


# The model ------------------------------------------------------------------------------------------------------------

Messages = list[dict[str, str]]


def prompt(name: str, **given: str | int) -> Messages:
    return [{"role": "user", "content": prompts.render(prompts.load(name), **given)}]


def shown(document: Document, chunks: list[int]) -> str:
    return tags.render_context([document.chunks[i] for i in sorted(chunks)])


def clear(world: World) -> list[tuple[Document, list[int], Question]]:
    """The questions that a cluster's passages settle."""
    return [
        (document, cluster, plan.question)
        for document in world.documents
        for cluster, plans in zip(document.clusters, document.plans, strict=True)
        for plan in plans
        if any(chunks <= set(cluster) for chunks in document.sufficient(plan.question))
    ]


def written(world: World, model: Model) -> list[dict]:
    """Candidates of every cluster, evidence in the document's numbering."""
    found = []
    for document in world.documents:
        for cluster in document.clusters:
            for sample, kind in enumerate(
                ["multi-hop", "comparison", "aggregation", "order in time", "cause", "counting"]
            ):
                messages = prompt(
                    "generate",
                    passages=shown(document, cluster),
                    question_type=f"{kind}. And so on.",
                    min_evidence=2,
                    max_evidence=6,
                    last=len(cluster) - 1,
                )
                made = json.loads(model.reply(messages, None, sample).text)
                found.append(made | {"evidence": [cluster[i] for i in made["evidence"]]})
    return found


def answered(
    model: Model, document: Document, chunks: list[int], question: Question, name: str = "sufficiency"
) -> dict:
    messages = prompt(f"judge-{name}", passages=shown(document, chunks), question=question.text)
    return json.loads(model.reply(messages, None).text)


def share(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


def test_without_errors_all_is_right(world: World):
    model = Model(world, LEVELS["none"])
    beyond = 0
    for made in written(world, model):
        row = label(world, made["question"], made["answer"], made["evidence"])
        if row.kind == "counting" and WRONG in row.faults:  # the cluster does not hold all there is to count
            beyond += 1
        else:
            assert not {MISSING, EXTRA, WRONG, VAGUE} & set(row.faults), row
    assert beyond < 12
    for document, cluster, question in clear(world):
        full = answered(model, document, cluster, question)
        assert full["answerable"]
        assert values.same(full["answer"], question.answer, question.asks)
        if question.kind != "counting":
            for i in frozenset.union(*document.sufficient(question)):
                assert answered(model, document, [i], question)["answerable"] == (
                    frozenset([i]) in document.sufficient(question)
                )


@pytest.mark.parametrize("level", ["moderate", "high"])
def test_candidates_err_at_the_rates(world: World, level: str):
    rates = LEVELS[level]
    rows = [label(world, m["question"], m["answer"], m["evidence"]) for m in written(world, Model(world, rates))]
    rows = [row for row in rows if row.kind != "counting"]
    assert len(rows) > 300
    assert share([MISSING in row.faults for row in rows]) == pytest.approx(rates.miss, abs=0.06)
    assert share([WRONG in row.faults for row in rows]) == pytest.approx(rates.wrong, abs=0.05)
    assert share([VAGUE in row.faults for row in rows]) == pytest.approx(rates.vague, abs=0.05)
    alone = [row for row in rows if MISSING not in row.faults]
    assert share([EXTRA in row.faults for row in alone]) == pytest.approx(rates.extra, abs=0.06)


def test_answers_err_at_the_rates(world: World):
    rates = replace(LEVELS["moderate"], slip=0.2, guess=0.3)
    model, right, guessed = Model(world, rates), [], []
    for document, cluster, question in clear(world):
        full = answered(model, document, cluster, question)
        right.append(full["answerable"] and values.same(full["answer"], question.answer, question.asks))
        if question.kind != "counting":
            nowhere = [i for i, held in enumerate(document.facts) if not held]
            guessed.append(answered(model, document, nowhere[:3], question)["answerable"])
    assert share(right) == pytest.approx(0.8, abs=0.07)
    assert share(guessed) == pytest.approx(0.3, abs=0.07)


def test_what_is_stubborn_errs_about_the_same_questions(world: World):
    model = Model(world, replace(LEVELS["stubborn"], guess=0.5))
    for document, _, question in clear(world):
        if question.kind != "counting":
            nowhere = [i for i, held in enumerate(document.facts) if not held]
            views = nowhere[:2], nowhere[2:4], nowhere[:4]
            assert len({answered(model, document, view, question)["answerable"] for view in views}) == 1


def test_grades_err_at_the_rate(world: World):
    model, wrong = Model(world, Rates(grade=0.1)), []
    for _, _, question in clear(world):
        others = {lure.value for lure in question.lures} - {question.answer}
        for other, alike in [(values.wordings(question.answer, question.asks)[0], True), *((o, False) for o in others)]:
            messages = prompt("judge-grade", question=question.text, answer=question.answer, given=other)
            wrong.append(json.loads(model.reply(messages, None).text)["same"] is not alike)
    assert share(wrong) == pytest.approx(0.1, abs=0.03)


def test_ratings_are_only_a_little_informed(world: World):
    good, bad = [], []
    model = Model(world, LEVELS["moderate"])
    for document, cluster, question in clear(world):
        evidence = min(document.sufficient(question), key=lambda chunks: not chunks <= set(cluster))
        cited = [cluster.index(i) for i in sorted(evidence)]
        for answer, ratings in ((question.answer, good), ("nobody knows", bad)):
            messages = prompt(
                "judge-quality",
                passages=shown(document, cluster),
                question=question.text,
                answer=answer,
                evidence=", ".join(map(str, cited)),
            )
            ratings.append(json.loads(model.reply(messages, None).text)["rating"])
    assert all(0 <= rating <= 10 for rating in good + bad)
    assert 0.5 < share([rating >= 9 for rating in good]) < 0.9
    assert 0.2 < share([rating >= 9 for rating in bad]) < 0.6


def test_closed_book_it_mostly_does_not_know(world: World):
    model = Model(world, LEVELS["moderate"])
    asked = [(question, prompt("judge-closed_book", question=question.text)) for _, _, question in clear(world)]
    replies = [json.loads(model.reply(messages, None, sample).text) for _, messages in asked for sample in (0, 1)]
    assert 0.08 < share([reply["answerable"] for reply in replies]) < 0.28


def test_a_policy_answers_in_tags(world: World):
    model = Model(world, LEVELS["none"])
    right = []
    for document, _, question in clear(world)[:60]:
        context = tags.render_context(document.chunks)
        reading = tags.read_response(model.reply(prompt("task", context=context, question=question.text), None).text)
        assert reading.parsed
        right.append(values.same(reading.answer or "", question.answer, question.asks))
    assert 0.5 < share(right) < 0.9


def test_replies_depend_on_what_is_asked_alone(world: World):
    (document, cluster, question), *_ = clear(world)
    rates = LEVELS["high"]
    messages = prompt("judge-sufficiency", passages=shown(document, cluster), question=question.text)
    first = Model(world, rates).reply(messages, None)
    model = Model(world, rates)
    for other in clear(world)[1:20]:
        answered(model, other[0], other[1], other[2])
    assert model.reply(messages, None) == first
    reworded = [{"role": "user", "content": re.sub("Below are", "Here you see", messages[0]["content"])}]
    assert model.reply(reworded, None) == first
    assert {Model(world, rates, seed).reply(messages, None).text for seed in range(30)} != {first.text}


def test_what_is_not_understood_is_said(world: World):
    with pytest.raises(ValueError, match="no question of this world"):
        Model(world, LEVELS["none"]).reply(prompt("judge-closed_book", question="Who is it?"), None)


# All of it ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_benchmark_runs(tmp_path: Path):
    script = Path(documents.__file__).parents[1] / "labels.py"
    command = [sys.executable, str(script), "--documents", "6", "--levels", "none", "moderate"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["levels"]["none"]["published"]["lenient"] == found["levels"]["none"]["checked"]["lenient"] == 1.0
    assert found["ratio"] > 1
