"""The rows of a dataset as prompts in tokens."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from datagen.errors import ConfigError, InputError
from datagen.train import data, tiny
from tests.train.calls import config, train
from tests.train.train_worlds import dataset, row


def test_the_published_layout_is_trained_on(tmp_path):
    """It has neither `qa_id` nor `extra_info.answer`."""
    ours = [row(i) for i in range(2)]
    published = [
        {
            "prompt": r["prompt"],
            "reward_model": {"ground_truth": r["extra_info"]["answer"]},
            "extra_info": {name: r["extra_info"][name] for name in ("question", "ref_chunks")},
        }
        for r in ours
    ]
    pq.write_table(pa.Table.from_pylist(ours), tmp_path / "ours.parquet")
    pq.write_table(pa.Table.from_pylist(published), tmp_path / "train.parquet")
    model = tiny.build(tmp_path / "model", [ours[0]["prompt"][0]["content"]], 300, max_position_embeddings=512)
    tokenizer = AutoTokenizer.from_pretrained(model)
    wanted = data.load([tmp_path / "ours.parquet"], tokenizer, 512)
    found = data.load([tmp_path / "train.parquet"], tokenizer, 512)
    assert (found.tokens == wanted.tokens).all()
    labels = [[(e.answer, e.ref_chunks, e.start, e.end) for e in split.examples] for split in (found, wanted)]
    assert labels[0] == labels[1]
    assert [e.qa_id for e in found.examples] == ["train/1", "train/2"]


def test_the_text_of_the_evidence_is_kept_where_it_is_wanted_and_missed_where_it_is_not_there(tokenizer, tmp_path):
    with_text = [row(0), row(1)]
    for r in with_text:
        r["extra_info"]["ref_chunks_text"] = ["the ash", "the birch"]
    pq.write_table(pa.Table.from_pylist(with_text), tmp_path / "with.parquet")
    split = data.load([tmp_path / "with.parquet"], tokenizer, 512, evidence=True)
    assert [example.evidence for example in split.examples] == ["the ash\n\nthe birch"] * 2
    assert [example.evidence for example in data.load([tmp_path / "with.parquet"], tokenizer, 512).examples] == ["", ""]
    told = r"train\.parquet, row 1: extra_info\.ref_chunks_text, .*--set train\.reward\.verifier=llm"
    with pytest.raises(InputError, match=told):
        data.load(rows(tmp_path, 1), tokenizer, 512, evidence=True)


def test_special_tokens_in_a_document_are_text_to_the_model(tmp_path):
    model = tiny.build(tmp_path / "model", ["some text to learn from"], 300, max_position_embeddings=512)
    tokenizer = AutoTokenizer.from_pretrained(model)
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    assert special

    def counts(content: str) -> int:
        ids = data.encode(tokenizer, [{"role": "user", "content": content}])
        return sum(i in tokenizer.all_special_ids for i in ids)

    assert counts(" and ".join(special)) == counts("and")


@pytest.fixture
def tokenizer(tmp_path) -> Any:
    texts = [message["content"] for i in range(4) for message in row(i)["prompt"]]
    return AutoTokenizer.from_pretrained(tiny.build(tmp_path / "model", texts, 300, max_position_embeddings=512))


def rows(folder: Path, n: int) -> list[Path]:
    pq.write_table(pa.Table.from_pylist([row(i) for i in range(n)]), folder / "train.parquet")
    return [folder / "train.parquet"]


PICKY = "{% if 'in 1 and 2' in messages[0]['content'] %}{{ raise_exception('not \x1b[31mthis') }}{% endif %}"


def test_rows_that_the_chat_template_refuses_are_set_aside(tokenizer, tmp_path):
    tokenizer.chat_template = PICKY + tokenizer.chat_template
    split = data.load(rows(tmp_path, 6), tokenizer, 512)
    assert [example.qa_id for example in split.examples] == ["q0", "q2", "q3", "q5"]
    assert (split.examples[-1].end, len(split.tokens)) == (len(split.tokens), len(split.tokens))
    assert [reason.partition(": ")[0] for reason in split.set_aside] == [
        f"{tmp_path}/train.parquet, row 2",
        f"{tmp_path}/train.parquet, row 5",
    ]
    assert "the chat template of the model refuses the prompt (not" in split.set_aside[0]


def test_rows_with_tokens_that_the_model_has_no_embedding_of_are_set_aside(tokenizer, tmp_path):
    """In the prompt, or in the output that it is to learn."""
    tokenizer.add_tokens(["no 7"])  # of the rows 4 and 5, and 6 and 7
    beyond = len(tokenizer) - 1
    split = data.load(rows(tmp_path, 6), tokenizer, 512, vocabulary=beyond)
    assert [example.qa_id for example in split.examples] == ["q0", "q1", "q2", "q3"]
    assert split.tokens.max() < beyond
    assert f"row 5: token {beyond} of the tokenizer is beyond the model's {beyond}" in split.set_aside[0]
    assert len(data.load(rows(tmp_path, 6), tokenizer, 512, vocabulary=beyond + 1)) == 6


def test_special_tokens_beyond_the_embedding_are_refused(tokenizer):
    data.check_tokenizer(tokenizer, "mine", len(tokenizer))
    with pytest.raises(ConfigError, match=r"mine has 2 embeddings, .* <\|im_end\|> \(token 2\)"):
        data.check_tokenizer(tokenizer, "mine", 2)


@pytest.fixture
def model(tokenizer, tmp_path) -> Path:
    return tmp_path / "model"


def said(model: Path, template: str, folder: Path, code: int = 0) -> str:
    place = model / "chat_template.jinja"
    place.write_text(template + place.read_text())
    settings = config(folder, steps=0, eval_every=0, rollout={"max_tokens": 16})
    data = dataset(folder / "data")
    return train(data, "--model", model, "-c", settings, "-o", folder / "out", code=code)


def test_what_is_set_aside_is_said_and_does_not_steer_the_terminal(model, tmp_path):
    told = said(model, PICKY, tmp_path)
    assert "4 rows (1 to evaluate on)" in told
    assert f"set aside 2 of 6 rows: {tmp_path}/data/data/train-00000.parquet, row 2: the chat template" in told
    assert "(not \\x1b[31mthis)" in told
    assert "\x1b" not in told
    assert "set aside 1 of 2 rows: " in told


def test_a_chat_template_that_refuses_them_all_is_an_error(model, tmp_path):
    told = said(model, "{{ raise_exception('a system message is needed') }}", tmp_path, code=1)
    assert "row 1: the chat template of the model refuses the prompt (a system message is needed). The same " in told
    assert "The same holds for all 6 training rows" in told
