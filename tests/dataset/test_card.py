from typing import Any

import pytest
import yaml

from datagen.config import model as configs
from datagen.dataset.card import card
from datagen.errors import ConfigError

STAGES = {
    "chunk": {
        "settings": {"chunk.max_tokens": 64, "input.limit": None},
        "mixed": False,
        "ledger": {
            "document": {"in": 1200, "kept": 1100, "rejected": {"too short": 90}, "failed": {"no text": 10}},
            "chunk": {"in": 5000, "kept": 5000, "rejected": {}, "failed": {}},
        },
    },
    "select": {"settings": {"select.per_document": 1}, "mixed": False, "ledger": {}},
}


def made(
    counts: dict[str, int], lengths: list[int], mixed: bool = False, facts: dict[str, str] | None = None, **dataset: Any
) -> tuple[dict, str]:
    stages = {**STAGES, "select": {**STAGES["select"], "mixed": mixed, "fingerprints": facts or {}}}
    config = configs.load(None, {f"dataset.{k}": v for k, v in dataset.items()})
    text = card(config, counts, lengths, {"made_by": "longrlvr-data 1", "stages": stages})
    _, header, body = text.split("---\n", 2)
    return yaml.safe_load(header), body


def test_the_header_names_the_splits_there_are():
    header, _ = made({"train": 3, "validation": 1}, [9])
    (only,) = header["configs"]
    assert only["data_files"] == [
        {"split": "train", "path": "data/train-*.parquet"},
        {"split": "validation", "path": "data/validation-*.parquet"},
    ]
    header, body = made({"train": 3, "validation": 0}, [9])
    assert [f["split"] for f in header["configs"][0]["data_files"]] == ["train"]
    assert "| validation" not in body


def test_the_header_tells_two_runs_apart():
    """`datasets` takes local folders of one name and one header for the same: one would come from the other's cache."""
    one, _ = made({"train": 3}, [9])
    same, _ = made({"train": 3}, [9])
    other, _ = made({"train": 3}, [9], mixed=True)
    assert one == same != other


def test_the_header_is_yaml_whatever_the_name():
    header, body = made({"train": 1}, [9], name="é: 'a' #1 {x}", license="cc-by-4.0")
    assert (header["pretty_name"], header["license"]) == ("é: 'a' #1 {x}", "cc-by-4.0")
    assert "# é: 'a' #1 {x}\n" in body


def test_rows_lengths_and_the_funnel():
    _, body = made({"train": 1234, "validation": 5}, [100, 30_000, 2_000, 1_001])
    assert "| train | 1,234 |" in body
    assert "A prompt has 100 to 30,000 tokens (median 1,500), counted by the `embedded` tokenizer." in body
    assert "| chunk | documents | 1,200 | 1,100 | too short 90, failed: no text 10 |" in body
    assert "| chunk | chunks | 5,000 | 5,000 |  |" in body


def test_settings_that_are_set_and_who_made_it():
    _, body = made({"train": 1}, [9])
    settings = yaml.safe_load(body.split("```yaml\n")[1].split("```")[0])
    assert settings == {"chunk.max_tokens": 64, "select.per_document": 1}
    assert "Made by longrlvr-data 1;" in body


def test_a_mixed_run_says_so():
    counts = {"train": 1}
    assert "--resume always" in made(counts, [9], mixed=True)[1]
    assert "--resume always" not in made(counts, [9])[1]


def test_the_benchmarks_that_it_was_held_against():
    facts = {"prompt task.md": "0", "benchmark b.jsonl": "1", "benchmark a.parquet": "2"}
    _, body = made({"train": 1}, [9], facts=facts)
    assert "shares 13 words in a row with a.parquet, b.jsonl." in body
    assert "13 words" not in made({"train": 1}, [9])[1]


def test_the_header_says_what_is_known():
    header, _ = made({"train": 999, "validation": 1}, [9])
    assert header["size_categories"] == ["1K<n<10K"]
    assert not {"language", "license_name", "license_link"} & header.keys()
    known = {"license": "other", "license_name": "psf-2.0", "license_link": "https://docs.python.org/3/license.html"}
    header, _ = made({"train": 3}, [9], mixed=False, facts=None, language=["en"], **known)
    assert header["size_categories"] == ["n<1K"]
    assert (header["language"], {name: header[name] for name in known}) == (["en"], known)


@pytest.mark.parametrize("given", [{"license_name": "mine"}, {"language": ["English"]}])
def test_what_the_hub_would_refuse_is_refused(given):
    with pytest.raises(ConfigError, match=next(iter(given))):
        made({"train": 3}, [9], **given)
