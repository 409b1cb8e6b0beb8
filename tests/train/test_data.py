"""The rows of a dataset as prompts in tokens."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from datagen.errors import InputError
from datagen.train import data, tiny
from tests.train.train_worlds import row


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


def test_special_tokens_in_a_document_are_text_to_the_model(tmp_path):
    model = tiny.build(tmp_path / "model", ["some text to learn from"], 300, max_position_embeddings=512)
    tokenizer = AutoTokenizer.from_pretrained(model)
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    assert special

    def counts(content: str) -> int:
        ids = data.encode(tokenizer, [{"role": "user", "content": content}])
        return sum(i in tokenizer.all_special_ids for i in ids)

    assert counts(" and ".join(special)) == counts("and")


def test_a_chat_template_that_refuses_is_a_sentence_that_names_the_row(tmp_path):
    pq.write_table(pa.Table.from_pylist([row(0)]), tmp_path / "train.parquet")
    tokenizer = AutoTokenizer.from_pretrained(
        tiny.build(tmp_path / "model", ["text"], 300, max_position_embeddings=512)
    )
    tokenizer.chat_template = "{{ raise_exception('a system message is needed') }}"
    with pytest.raises(InputError, match=r"train\.parquet, row 1: the chat template .* \(a system message is needed\)"):
        data.load([tmp_path / "train.parquet"], tokenizer, 512)
