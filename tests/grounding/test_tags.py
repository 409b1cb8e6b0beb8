import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datagen.grounding import tags

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "model_outputs.jsonl.gz"

# The published parser: what must find nothing in a document, and what the reader must agree with on a response.
USEFUL = re.compile(r"<useful_chunks>(.*?)</useful_chunks>", re.DOTALL)
ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
CHUNK = re.compile(r"<CHUNK_(\d+)>")

PIECES = [
    *("<", ">", "/", "\\", "<\\", "</", "<\\\\", "\n", " ", "\t", "_", "0", "1", "12", "٣", "x"),
    *("CHUNK", "CHUNK_", "chunk", "Chunk 1", "useful_chunks", "useful", "USEFUL CHUNKS", "answer", "Answer", "answers"),
    *("<CHUNK_0>", "</CHUNK_0>", "<CHUNK_1>", "</CHUNK_1>", "<\\CHUNK_0>", "<\\\\/CHUNK_1>", "< / chunk_2 >"),
    *("<answer>", "</answer>", "<\\answer>", "<useful_chunks>", "</useful_chunks>", "<\\/useful_chunks>", "</ answer"),
    *("<question>", "</question >", "</other_answer>", "<|im_end|>", "<\\|eot_id|>", "[INST]", "[/INST]"),
    *("[", "|", "|>"),
    *("＜", "〈", "\u200b", "\u00ad", "\u0338", "\u0301", "＿", "С", "Α", "１", "／", "＼", "\0"),
    *("ａnswer", "аnswer", "СHUNK＿1"),
]
hostile = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join)


def published(text: str) -> tuple[list[int] | None, str | None]:
    cited, answers = USEFUL.findall(text), ANSWER.findall(text)
    ids = [int(n) for n in CHUNK.findall(cited[0])] if len(cited) == 1 else None
    return ids, answers[0].strip() if len(answers) == 1 else None


@given(hostile)
def test_neutralise_round_trips_any_text(text):
    assert tags.restore(tags.neutralise(text)) == text
    assert tags.restore(tags.neutralise(tags.neutralise(text))) == tags.neutralise(text)


@given(hostile)
def test_neutralised_text_holds_no_tag(text):
    safe = tags.neutralise(text)
    assert not CHUNK.search(safe)
    for tag in ("<useful_chunks>", "</useful_chunks>", "<answer>", "</answer>"):
        assert tag not in safe
    assert not re.search(r"</?CHUNK_\d", safe)


@pytest.mark.parametrize(
    "text",
    [
        "<CHUNK_1>",
        "</CHUNK_22>",
        "<chunk_3>",
        "< CHUNK_4 >",
        "</ Answer >",
        "<ANSWER id='1'>",
        "<useful chunks>",
        "<answer",
    ],
)
def test_what_looks_like_a_tag_is_escaped(text):
    assert tags.neutralise(text) == "<\\" + text[1:]


@pytest.mark.parametrize(
    "text", ["", "a < b", "<chunk_size>", "<answers>", "answer>", "<b>bold</b>", "the <\\b> answer"]
)
def test_other_text_is_left_alone(text):
    assert tags.neutralise(text) == text


@given(st.lists(hostile, max_size=5))
@example(["<CHUNK_1", "b"])
@example(["<", "/CHUNK_0>"])
@example(["</CHUNK_0>\n<CHUNK_1>", ""])
@example(["a\\", "<\\"])
def test_context_round_trips(chunks):
    text = tags.render_context(chunks)
    assert tags.read_context(text) == chunks
    assert [int(n) for n in CHUNK.findall(text)] == list(range(len(chunks)))
    assert len(text) == sum(len(tags.neutralise(c)) + len("".join(tags.around_chunk(i))) for i, c in enumerate(chunks))


@given(st.lists(hostile, min_size=1, max_size=4), hostile)
def test_context_is_found_in_a_whole_prompt(chunks, question):
    around = (
        "Cite chunks as in <CHUNK_3> <CHUNK_0>.\n{}\n\n{}\n<useful_chunks><CHUNK_1></useful_chunks><answer></answer>"
    )
    prompt = around.format(tags.render_context(chunks), tags.neutralise(question))
    assert tags.read_context(prompt) == chunks


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no chunk here", "no chunk"),
        ("<CHUNK_0>a", "no chunk"),
        ("<CHUNK_1>a</CHUNK_1>", "where chunk 0 belongs"),
        ("<CHUNK_0>a</CHUNK_0>\n<CHUNK_2>b</CHUNK_2>", "where chunk 1 belongs"),
        ("<CHUNK_0>a</CHUNK_0> and <CHUNK_1>b</CHUNK_1>", "text between"),
        ("<CHUNK_0>a</CHUNK_0>\n<CHUNK_1>b</CHUNK", "chunk 1 is not closed"),
        ("<CHUNK_0>a</CHUNK_1>", "closes no chunk"),
        ("a</CHUNK_0>", "closes no chunk"),
        ("<CHUNK_0>a</CHUNK_0></CHUNK_0>", "closes no chunk"),
    ],
)
def test_malformed_context_is_an_error(text, says):
    with pytest.raises(ValueError, match=says):
        tags.read_context(text)


CITED = "<useful_chunks>\n<CHUNK_3> <CHUNK_17>, <CHUNK_3>\n</useful_chunks>"


@pytest.mark.parametrize(
    ("response", "ids", "answer"),
    [
        (f"I think.\n{CITED}\n<answer>\n 42 \n</answer>", [3, 17, 3], "42"),
        (f"{CITED}<answer></answer>", [3, 17, 3], ""),
        (f"<answer>42</answer>{CITED}", [3, 17, 3], "42"),
        ("<useful_chunks>3, 17</useful_chunks><answer>42</answer>", [], "42"),
        ("<useful_chunks><CHUNK_007><chunk_8></useful_chunks><answer>42</answer>", [7], "42"),
        (f"{CITED}{CITED}<answer>42</answer>", None, "42"),
        (f"{CITED}<answer>1</answer><answer>2</answer>", [3, 17, 3], None),
        (f"{CITED}<answer>42", [3, 17, 3], None),
        (f"<answer>{CITED}", [3, 17, 3], None),
        ("<answer>an <answer> in it</answer>", None, "an <answer> in it"),
        ("<USEFUL_CHUNKS><CHUNK_1></USEFUL_CHUNKS><Answer>1</Answer>", None, None),
        ("", None, None),
    ],
)
def test_reads_responses(response, ids, answer):
    reading = tags.read_response(response)
    assert (reading.useful_chunks, reading.answer) == (ids, answer) == published(response)
    assert reading.parsed == (ids is not None and answer is not None)


def test_diagnostics():
    reading = tags.read_response(f"I think. {CITED} so <answer>1</answer> or <answer>2</answer> done")
    assert (reading.useful_chunks_found, reading.answers_found, reading.in_order) == (1, 2, False)
    assert (reading.reasoning, reading.trailing) == ("I think.", "done")
    assert tags.read_response(f"{CITED}<answer>1</answer>").in_order
    assert not tags.read_response(f"<answer>1</answer>{CITED}").in_order
    assert tags.read_response("nothing").reasoning == "nothing"


@given(hostile)
def test_reader_agrees_with_the_published_parser(text):
    ids, answer = published(text)
    reading = tags.read_response(text)
    assert reading.useful_chunks == ids
    assert reading.answer == (None if answer is None else tags.restore(answer))


@given(st.lists(st.integers(0, 10**6), max_size=6), hostile, hostile)
def test_response_round_trips(ids, answer, reasoning):
    response = tags.render_response(ids, answer, reasoning)
    reading = tags.read_response(response)
    assert (reading.useful_chunks, reading.answer, reading.in_order) == (ids, answer.strip(), True)
    assert published(response) == (ids, tags.neutralise(answer.strip()))


def test_negative_ids_are_refused():
    with pytest.raises(ValueError, match="not negative"):
        tags.render_response([0, -1], "a")


def test_a_numeral_too_long_for_an_int_is_refused():
    assert tags.read_response(f"<useful_chunks><CHUNK_{'9' * 5000}></useful_chunks>").useful_chunks is None


@pytest.mark.parametrize(
    "piece", ["<useful_chunks>", "<answer>", "<", "<\\", "< ", "</ ", "<CHUNK_", "<CHUNK_1>", "<useful "]
)
def test_a_long_repeating_text_is_read(piece):
    """In a second; in quadratic time it would take many minutes."""
    text = piece * 100_000
    tail = "<" + " " * 100_000 + "/" + " " * 100_000 + "useful" + "_" * 100_000
    assert not tags.read_response(text).parsed
    assert tags.restore(tags.neutralise(text + tail)) == text + tail


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded model outputs are not here")
def test_reader_agrees_on_recorded_outputs():
    with gzip.open(RECORDED, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    assert len(rows) == 579
    for row in rows:
        reading = tags.read_response(row["response"])
        assert (reading.useful_chunks, reading.answer) == (row["useful_chunks"], row["answer"]), row["source"]
