"""RULER's questions, built from tiny files like SQuAD's and HotpotQA's."""

import json
import re

import pyarrow.parquet as pq
import pytest

from datagen.config.data import InputConfig
from datagen.errors import InputError
from datagen.evaluate import benchmarks, paragraphs, ruler
from datagen.text import tokenizers
from tests.commands.calls import call
from tests.commands.test_json import keys_of
from tests.evaluate import made

TOKENIZER = tokenizers.load("embedded")
MAKE = {"qa_1": made.squad, "qa_2": made.hotpotqa}


@pytest.fixture(params=["qa_1", "qa_2"])
def source(request, tmp_path):
    return paragraphs.read(str(MAKE[request.param](tmp_path / "dev.json")))


def build(source, lengths=(800,), n=100, seed=0):
    return list(ruler.build(source, lengths, n, seed, TOKENIZER))


def parts(document):
    return re.split(r"(?:^|\n\n)Document \d+:\n", document)[1:]


def test_the_evidence_holds_the_answer(source):
    rows = build(source, (600, 1200))
    assert len(rows) == 2 * len(source.questions)
    for row in rows:
        texts = [row.document[start:end] for start, end in row.evidence]
        assert any(answer in text for text in texts for answer in row.outputs)
        if row.task == "qa_1":
            assert [text in source.paragraphs for text in texts] == [True]
        else:
            name = re.search(r"Kell\d+", row.question)[0]  # pyright: ignore[reportOptionalSubscript]
            assert [text.split(" was")[0] for text in sorted(texts)] == [f"The bridge of {name}x{p}" for p in (1, 4)]


def test_a_document_is_full_and_no_paragraph_stands_there_twice(source):
    longest = max(TOKENIZER.count([f"\n\nDocument 100:\n{text}" for text in source.paragraphs]))
    for row in build(source, (600, 1200)):
        assert row.n_tokens == TOKENIZER.count([row.document])[0]
        assert row.length - longest < row.n_tokens <= row.length
        found = parts(row.document)
        assert len(set(found)) == len(found)
        assert set(found) <= set(source.paragraphs)
        assert row.document.startswith("Document 1:\n")
        assert f"\n\nDocument {len(found)}:\n" in row.document


def test_a_questions_own_paragraphs_come_first(source):
    own_first = build(source, (700,))[0]
    question = next(q for q in source.questions if own_first.item_id.endswith(f"/{q.id}"))
    found, own = set(parts(own_first.document)), {source.paragraphs[at] for at in question.own}
    assert found <= own or own <= found


def test_gold_stands_anywhere(source):
    places = [row.evidence[0][0] / len(row.document) for row in build(source)]
    assert min(places) < 0.3
    assert max(places) > 0.6


def test_questions_without_an_answer_are_skipped_and_answers_stand_once(tmp_path):
    squad = paragraphs.read(str(made.squad(tmp_path / "squad.json")))
    assert (len(squad.questions), squad.skipped, squad.task) == (40, 40, "qa_1")
    assert all(len(question.answers) == 1 for question in squad.questions)
    hotpotqa = paragraphs.read(str(made.hotpotqa(tmp_path / "hotpotqa.json")))
    assert (len(hotpotqa.questions), hotpotqa.skipped, hotpotqa.task) == (7, 1, "qa_2")


def test_the_same_bytes_for_the_same_seed_and_others_for_another(tmp_path):
    made.squad(tmp_path / "dev.json")

    def written(name, *more):
        where = tmp_path / f"{name}.parquet"
        result = call("evaluate", "ruler", tmp_path / "dev.json", "--tokens", "500", "-o", where, *more)
        assert result.exit_code == 0, result.output
        return where.read_bytes()

    assert written("a", "--questions", "20") == written("b", "--questions", "20")
    assert written("a", "--questions", "20") != written("c", "--questions", "20", "--seed", "1")


def test_what_was_built_is_read_as_a_benchmark(tmp_path):
    made.hotpotqa(tmp_path / "dev.json")
    where = tmp_path / "qa_2.parquet"
    result = call(
        "evaluate", "ruler", tmp_path / "dev.json", "--tokens", "500", "--tokens", "900", "-o", where, "--json"
    )
    assert json.loads(result.stdout).keys() == keys_of("evaluate ruler") - {"qa_1", "qa_2"}
    assert '"questions": {\n  "500": 7,\n  "900": 7\n }' in result.stdout
    files = benchmarks.BENCHMARKS["ruler-qa"].find(str(where))
    items = list(benchmarks.items("ruler-qa", files, InputConfig()))
    rows = pq.read_table(where).to_pylist()
    assert [item.item_id for item in items] == [row["item_id"] for row in rows]
    assert {(item.length, item.domain) for item in items} == {("500", "qa_2"), ("900", "qa_2")}
    for item, row in zip(items, rows, strict=True):
        assert item.evidence == [tuple(span) for span in row["evidence"]]
        assert (item.document, item.gold) == (row["document"], row["outputs"])


def test_a_file_that_is_too_small_is_refused(source):
    with pytest.raises(InputError, match=r"paragraphs have [\d,]+ tokens in all, too few for a document of 100,000"):
        build(source, (100_000,))


def test_evidence_that_has_no_room_is_refused(source):
    with pytest.raises(
        InputError, match=r"the evidence of question .* has [\d,]+ tokens, and a document of 64 has no room"
    ):
        build(source, (64,))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "data is no list, but None. SQuAD's dev file is"),
        ('{"data": [{}]}', "article 1: there is no paragraphs"),
        ('[{"_id": "a"}]', "question 1: there is no context. HotpotQA's dev_distractor file is"),
        ("nonsense", "cannot be read as JSON"),
        ("[]", "it holds no question that can be answered"),
    ],
)
def test_other_files_are_refused(tmp_path, text, says):
    (tmp_path / "dev.json").write_text(text)
    result = call("evaluate", "ruler", tmp_path / "dev.json", "--tokens", "500", "-o", tmp_path / "out.parquet")
    assert result.exit_code == 1
    assert says in result.stderr
    assert not (tmp_path / "out.parquet").exists()


def test_an_answer_that_its_paragraph_does_not_hold_is_refused(tmp_path):
    made.squad(tmp_path / "dev.json")
    text = (tmp_path / "dev.json").read_text().replace('"text": "3:00"', '"text": "noon"')
    (tmp_path / "dev.json").write_text(text)
    with pytest.raises(InputError, match="question 'q0-0': its paragraph does not hold its answer 'noon'"):
        paragraphs.read(str(tmp_path / "dev.json"))
