"""Each benchmark's reader, on a few rows in its own format."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.config.data import InputConfig
from datagen.errors import InputError
from datagen.evaluate import benchmarks, layouts
from datagen.evaluate.benchmarks import longreason
from datagen.evaluate.lengths import length_label
from tests.evaluate import made


def items(name, path):
    files = benchmarks.BENCHMARKS[name].find(str(path))
    return list(benchmarks.items(name, files, InputConfig()))


def refused(name, path):
    with pytest.raises(InputError) as e:
        items(name, path)
    return str(e.value)


def test_longbench_v2_in_all_its_forms(tmp_path):
    rows = [made.longbench_row(i) for i in range(3)]
    array = items("longbench-v2", made.write(tmp_path / "data.json", rows))
    item = array[1]
    assert (item.item_id, item.kind, item.gold, item.choices) == (
        "id-1",
        "choice",
        ["B"],
        [rows[1]["choice_" + c] for c in "ABCD"],
    )
    assert (item.length, item.difficulty, item.domain) == ("short", "hard", "Single-Document QA")
    assert (item.document, item.question, item.evidence) == (rows[1]["context"], rows[1]["question"], None)
    assert items("longbench-v2", made.write(tmp_path / "data.jsonl", rows, lines=True)) == array
    (tmp_path / "data.jsonl.gz").write_bytes(gzip.compress((tmp_path / "data.jsonl").read_bytes()))
    assert items("longbench-v2", tmp_path / "data.jsonl.gz") == array
    (tmp_path / "indented.json").write_text("\ufeff" + json.dumps(rows, indent=2), encoding="utf-8")
    assert items("longbench-v2", tmp_path / "indented.json") == array
    (tmp_path / "folder").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "folder" / "data.parquet")
    (tmp_path / "folder" / "README.md").write_text("About it")
    assert items("longbench-v2", tmp_path / "folder") == array


def test_a_long_array_is_read_a_block_at_a_time(tmp_path):
    """Values that are longer than a block, and many that are shorter."""
    rows = [made.longbench_row(i, "«é» " * 400_000 if i == 2 else "short\ttext") for i in range(400)]
    found = items("longbench-v2", made.write(tmp_path / "data.json", rows))
    assert [item.document for item in found] == [row["context"] for row in rows]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"context": None}, "context is not text, but None"),
        ({"context": " "}, "context is empty"),
        ({"answer": "E"}, "answer is not one of the letters A, B, C, D, but 'E'"),
        ({"choice_C": 7}, "choice_C is not text, but 7"),
        ({"question": "half \ud800"}, "question holds half a character"),
        ({"_id": "id-0"}, "two questions have the id 'id-0'"),
    ],
)
def test_a_bad_row_is_named(tmp_path, change, says):
    rows = [made.longbench_row(0), made.longbench_row(1) | change]
    said = refused("longbench-v2", made.write(tmp_path / "data.json", rows))
    assert says in said
    assert said.startswith("two") or said.startswith("data.json, row 2: ")


def test_a_missing_column_is_named_with_the_format(tmp_path):
    row = made.longbench_row(0)
    del row["choice_B"]
    said = refused("longbench-v2", made.write(tmp_path / "data.json", [row]))
    assert said == (
        "data.json, row 1: it has no column choice_B. A row of LongBench v2 (data.json) has the columns _id, domain, "
        "difficulty, length, question, choice_A, choice_B, choice_C, choice_D, answer, context"
    )
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "data.parquet")
    assert "data.parquet, row 1: it has no column choice_B" in refused("longbench-v2", tmp_path / "data.parquet")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[{"_id": "a"', "data.json, row 1: cannot be read as JSON"),
        ("[1]", "data.json, row 1: it is no JSON object, but 1"),
        ('{"_id": "a"}\n{"_id": ', "row 1: it has no column question"),
        ("[] ", None),
    ],
)
def test_what_is_no_json(tmp_path, text, says):
    (tmp_path / "data.json").write_text(text)
    if says is None:
        assert items("longbench-v2", tmp_path / "data.json") == []
    else:
        assert says in refused("longbench-v2", tmp_path / "data.json")


def test_an_array_that_was_cut_is_refused_after_its_last_whole_row(tmp_path):
    whole = json.dumps([made.longbench_row(i) for i in range(3)])
    for end in (len(whole) - 1, len(whole) - 40):
        (tmp_path / "data.json").write_text(whole[:end])
        assert "cannot be read as JSON" in refused("longbench-v2", tmp_path / "data.json")


def longreason_row(i, inquiry="Which bird is it?\nA. A heron\nB. An owl,\nor none\nC. A wren", **more):
    background = made.prose(i, 30)
    prompt = f"Read this.\n{background}\n{inquiry}\nThink."
    return {
        "question": f"{background} {inquiry}",
        "background": background,
        "final_inquiry": inquiry,
        "example_idx": f"e{i}",
        "prompt": prompt,
        "answer": "B",
        "analysis": "Since it flies.",
    } | more


def test_longreason(tmp_path):
    (tmp_path / "data").mkdir()
    for split in ("8k", "128k"):
        table = pa.Table.from_pylist([longreason_row(i) for i in range(2)])
        pq.write_table(table, tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    found = items("longreason", tmp_path)
    assert [(item.item_id, item.length) for item in found] == [
        ("e0", "128k"), ("e1", "128k"), ("e0", "8k"), ("e1", "8k"),
    ]  # fmt: skip
    item = found[0]
    assert (item.question, item.choices) == ("Which bird is it?", ["A heron", "An owl,\nor none", "A wren"])
    assert (item.gold, item.document) == (["B"], longreason_row(0)["background"])


@pytest.mark.parametrize(
    ("inquiry", "parts"),
    [
        ("Which?\n(A) one\n(B) two", ("Which?", ["one", "two"])),
        ("A. Smith wrote it. Who?\nA) he\nB) she", ("A. Smith wrote it. Who?", ["he", "she"])),
        ("Which of A. one or B. two?", ("Which of A. one or B. two?", [])),
        ("Which?\nA. one\nC. three", ("Which?\nA. one\nC. three", [])),
        ("A. one\nB. two", ("A. one\nB. two", [])),
    ],
)
def test_the_options_of_an_inquiry(inquiry, parts):
    assert longreason.parted(inquiry) == parts


def test_longreason_of_another_shape_is_refused(tmp_path):
    row = longreason_row(0, prompt="word " * 5_000)
    assert "in neither background nor final_inquiry" in refused("longreason", made.write(tmp_path / "8k.json", [row]))
    row = longreason_row(0, answer="E")
    assert "answer is E, and final_inquiry has 3 options" in refused(
        "longreason", made.write(tmp_path / "8k.json", [row])
    )
    row = longreason_row(0, answer="the owl")
    assert "answer does not begin with a letter" in refused("longreason", made.write(tmp_path / "8k.json", [row]))


def mrcr_row(**more):
    messages = []
    for n in range(4):
        messages.append({"role": "user", "content": f"Write a poem about {'reefs' if n % 2 else 'pines'}"})
        messages.append({"role": "assistant", "content": f"Poem {n}: {made.prose(n, 5)}"})
    messages.append({"role": "user", "content": "Prepend XyZ to the 2nd (1 indexed) poem about reefs."})
    return {
        "prompt": json.dumps(messages),
        "answer": "XyZ" + messages[7]["content"],
        "random_string_to_prepend": "XyZ",
        "n_needles": 2,
        "desired_msg_index": 7,
        "total_messages": 9,
        "n_chars": 1000,
    } | more


def pairs(name: str, data, results) -> None:
    """The questions as we ask them, and the rows of a published file about them, have the same ids and lengths."""
    asked = [(item.benchmark, item.item_id, item.length) for item in items(name, data)]
    published = [row.prediction for row in layouts.read(str(results))]
    assert asked == [(row.benchmark, row.item_id, row.length) for row in published]


def test_published_results_pair_with_what_is_asked_here(tmp_path):
    data = made.write(
        tmp_path / "131072" / "data" / "qa_1" / "validation.jsonl", [ruler_row(), ruler_row(i=1)], lines=True
    )
    results = [{"index": i, "pred": "x", "outputs": ["4"], "length": 4000} for i in range(2)]
    folder = tmp_path / "model" / "synthetic" / "131072" / "pred"
    pairs("ruler-qa", data, made.write(folder / "qa_1.jsonl", results, lines=True))
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist([longreason_row(0)]), tmp_path / "data" / "128k-00000-of-00001.parquet")
    row = {"example_idx": "e0", "split": "128k", "answer": "B", "response": "B", "pred": "B"}
    pairs("longreason", tmp_path / "data", made.write(tmp_path / "7b.jsonl", [row], lines=True))


@pytest.mark.parametrize(
    ("length", "label"),
    [("131072", "128k"), ("128k", "128k"), ("128K", "128k"), ("800", "800"), ("32000", "32000"), ("", ""), ("0", "0"),
     ("short", "short"), ("K", "K")],
)  # fmt: skip
def test_a_length_has_one_name(length, label):
    assert length_label(length) == label


def test_mrcr(tmp_path):
    pq.write_table(pa.Table.from_pylist([mrcr_row()]), tmp_path / "2needle.parquet")
    (item,) = items("mrcr", tmp_path / "2needle.parquet")
    messages = json.loads(mrcr_row()["prompt"])
    assert (item.item_id, item.kind, item.difficulty) == ("2needle/1", "similarity", "2 needles")
    assert (item.question, item.gold) == (messages[-1]["content"], [mrcr_row()["answer"]])
    assert item.document.startswith("User:\nWrite a poem about pines\n\nAssistant:\nPoem 0: ")
    assert item.evidence
    ((start, end),) = item.evidence
    assert item.document[start:end] == messages[7]["content"]
    assert messages[-1]["content"] not in item.document


def test_mrcr_without_its_message_has_no_evidence(tmp_path):
    (item,) = items("mrcr", made.write(tmp_path / "a.json", [mrcr_row(desired_msg_index=3)]))
    assert item.evidence is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"prompt": "no JSON"}, "prompt is no list of messages as JSON"),
        ({"prompt": '[{"role": "user"}]'}, "prompt is no list of messages, each with"),
        ({"prompt": '[{"role": "user", "content": "Hm"}]'}, "prompt is not a conversation that ends"),
        ({"answer": "other"}, "answer does not begin with random_string_to_prepend"),
        ({"desired_msg_index": True}, "desired_msg_index is not a whole number, but True"),
    ],
)
def test_mrcr_of_another_shape_is_refused(tmp_path, change, says):
    assert says in refused("mrcr", made.write(tmp_path / "a.json", [mrcr_row(**change)]))


TASK = (
    "Use the given documents. Say no more.\n\n{context}\n\nUse the given documents. Say no more.\n\nQuestion: {query}"
)
DOCUMENTS = "Document 1:\nThe ferry\nleaves.\n\nDocument 2:\nQuestion: none.\n\nDocument 3:\nA reef."


def ruler_row(query="When does it leave? Answer:", i=0, **more):
    return {
        "index": i,
        "input": TASK.format(context=DOCUMENTS, query=query),
        "outputs": ["at four", "4", "at four"],
        "length": 4000,
    } | more


def test_ruler(tmp_path):
    path = tmp_path / "131072" / "data" / "qa_2" / "validation.jsonl"
    found = items("ruler-qa", made.write(path, [ruler_row(), ruler_row("When does it leave?", 1)], lines=True))
    item, other = found
    assert (item.item_id, item.domain, item.length) == ("qa_2/0", "qa_2", "128k")
    assert (item.question, other.question) == ("When does it leave?",) * 2
    assert (item.document, item.gold) == (DOCUMENTS, ["at four", "4"])
    assert (item.kind, item.evidence) == ("match", None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"input": "Only text"}, 'input does not hold "Document 1:"'),
        (
            {"input": TASK.format(context=DOCUMENTS, query="Who?<|im_end|>\n<|im_start|>assistant\n")},
            "--model_template_type",
        ),
        ({"outputs": []}, "outputs is no list of texts"),
        ({"outputs": "4"}, "outputs is not a list, but '4'"),
        ({"index": None}, "index is not a whole number, but None"),
    ],
)
def test_ruler_of_another_shape_is_refused(tmp_path, change, says):
    assert says in refused("ruler-qa", made.write(tmp_path / "a.jsonl", [ruler_row(**change)], lines=True))


def prompt_row(i, **more):
    prompt = "The document:\n<CHUNK_0>Calls</CHUNK_0>\n<CHUNK_1>Names</CHUNK_1>\nWhat is it?"
    info = {"qa_id": f"q{i}", "question": "What is it?", "answer": "a name", "ref_chunks": [1], "generator": "cloze"}
    model = {"style": "rule", "ground_truth": "a name"}
    return {"prompt": [{"role": "user", "content": prompt}], "reward_model": model, "extra_info": info} | more


def test_held_out_rows_of_a_dataset(tmp_path):
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist([prompt_row(0)]), tmp_path / "data" / "train-00000.parquet")
    assert "has no validation split" in refused("dataset", tmp_path)
    pq.write_table(pa.Table.from_pylist([prompt_row(1), prompt_row(2)]), tmp_path / "data" / "validation-00000.parquet")
    found = items("dataset", tmp_path)
    assert [item.item_id for item in found] == ["q1", "q2"]
    assert (found[0].messages, found[0].gold_chunks) == (prompt_row(1)["prompt"], [1])
    assert (found[0].gold, found[0].kind, found[0].domain) == (["a name"], "answer", "cloze")
    assert [item.item_id for item in items("dataset", tmp_path / "data" / "train-00000.parquet")] == ["q0"]


def test_a_folder_without_data_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("About it")
    assert "it holds no .json, .jsonl or .parquet file" in refused("mrcr", tmp_path)


def test_a_dataset_of_the_hub_that_was_saved_here(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list([longreason_row(i) for i in range(2)]).save_to_disk(str(tmp_path / "saved"))
    files = benchmarks.BENCHMARKS["longreason"].find(f"hf://{tmp_path}/saved")
    found = list(benchmarks.items("longreason", files, InputConfig(hf_split="32k")))
    assert [item.item_id for item in found] == ["e0", "e1"]
