"""`export`: which rows a model is shown, and what is written for which trainer."""

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from datagen.dataset.encode import encode
from datagen.dataset.schema import SCHEMA
from datagen.export import reward_file, targets
from datagen.train import tiny
from tests.commands.calls import call, contents
from tests.commands.test_json import keys_of

TEXT = "The red oak stood by the mill, and the elm by the ford. "
SMALL, LIMIT = 40, 8_000


def row(name: str, words: int, text: str = TEXT) -> dict:
    """A row of the published layout with a prompt of so many words and more."""
    content = f"<CHUNK_0>{text}</CHUNK_0>\n<CHUNK_1>{'oak ' * words}</CHUNK_1>\nWhich tree is {name}?"
    return {
        "data_source": "longrlvr",
        "prompt": [{"role": "user", "content": content}],
        "reward_model": {"ground_truth": "the oak", "style": "rule"},
        "extra_info": {"question": f"Which tree is {name}?", "ref_chunks": [0, 1], "ref_chunks_text": [text, "oak"]},
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("model"), [TEXT], 400, max_position_embeddings=40_000)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "published"
    folder.mkdir()
    rows = [row("first", SMALL), row("long", 30_000), row("last", SMALL, "A <image> and <|im_end|> stood there.")]
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet")
    return folder


def exported(dataset: Path, to: str, model: Path, target: Path | str, *more: str) -> Result:
    return call("export", dataset, "--to", to, "--model", model, "--max-prompt-tokens", str(LIMIT), "-o", target, *more)


def rows_of(folder: Path, to: str, split: str = "train") -> list[dict]:
    if to == "jsonl":
        return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
    return pq.read_table(folder / targets.TARGETS[to].package / f"{split}.parquet").to_pylist()


@pytest.mark.parametrize("to", sorted(targets.TARGETS))
def test_a_row_that_is_too_long_is_left_out_and_none_is_cut(to, dataset: Path, model: Path, tmp_path: Path):
    from transformers import AutoTokenizer

    done = exported(dataset, to, model, tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "train: 2 rows" in done.stdout
    assert "1 left out: too long a prompt, 8,000 tokens at most" in done.stdout
    rows, tokenizer = rows_of(tmp_path / "out", to), AutoTokenizer.from_pretrained(model)
    assert [found["extra_info"]["question"] for found in rows] == ["Which tree is first?", "Which tree is last?"]
    for found in rows:
        assert len(encode(tokenizer, found["prompt"])) == found["extra_info"]["n_tokens"] <= LIMIT
        assert found["prompt"][0]["content"].count("oak ") >= SMALL
        assert found["reward_model"] == {"style": "rule", "ground_truth": found["extra_info"]["answer"]}
    last = rows[1]["prompt"][0]["content"]
    assert "<image>" not in last
    assert "<|im_end|>" not in last
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    assert record["splits"]["train"]["left_out_ids"] == ["train/2"]
    package = tmp_path / "out" / targets.TARGETS[to].package
    assert (package / reward_file.NAME).read_text(encoding="utf-8") == reward_file.source("exact")


@pytest.mark.parametrize("to", sorted(targets.TARGETS))
def test_the_files_of_a_target_are_whole_and_of_their_language(to, dataset: Path, model: Path, tmp_path: Path):
    folder = tmp_path / "a folder's name"
    done = exported(dataset, to, model, folder, "--verifier", "contains")
    assert done.exit_code == 0, done.stderr
    for path in folder.rglob("*"):
        if not path.is_file() or path.suffix == ".parquet":
            continue
        text = path.read_text(encoding="utf-8")
        if path.name != reward_file.NAME:
            assert "{{" not in text, path
        if path.suffix == ".py":
            compile(text, str(path), "exec")
        if path.suffix == ".toml":
            tomllib.loads(text)
        if path.suffix == ".sh":
            subprocess.run(["bash", "-n", str(path)], check=True)
    if to != "jsonl":
        assert (folder / "selfcheck.py").exists()
        assert targets.TARGETS[to].version in (folder / "README.md").read_text()
    assert str(model) in "".join(
        path.read_text() for path in folder.glob("*.*") if path.suffix in (".md", ".sh", ".py")
    )


def test_the_rows_have_the_columns_of_a_dataset(dataset: Path, model: Path, tmp_path: Path):
    exported(dataset, "verl", model, tmp_path / "out")
    assert pq.read_schema(tmp_path / "out" / "train.parquet").equals(SCHEMA)


def test_nothing_that_is_there_is_touched(dataset: Path, model: Path, tmp_path: Path, monkeypatch):
    target = tmp_path / "home" / "out"
    target.mkdir(parents=True)
    (target / "mine.txt").write_text("mine")
    monkeypatch.setenv("HOME", str(target.parent))
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    for given in (target, "~/out", tmp_path / "link", tmp_path / "file"):
        done = exported(dataset, "trl", model, given)
        assert (done.exit_code, (target / "mine.txt").read_text()) == (2, "mine"), given
        assert "nothing there is overwritten" in done.stderr
    for given in (f"file://{target}", "s3://bucket/x"):
        assert "written to a local folder" in exported(dataset, "trl", model, given).stderr
    for given in (tmp_path / ("n" * 300), "a\0b"):
        assert "no such folder can be made" in exported(dataset, "trl", model, given).stderr
    (target / "mine.txt").unlink()
    assert exported(dataset, "trl", model, "~/out").exit_code == 0
    assert exported(dataset, "trl", model, target).exit_code == 2  # checkpoints may be in it by now
    again = tmp_path / "again"
    exported(dataset, "trl", model, again)
    assert [contents(again)[name] for name in contents(target)] == list(contents(target).values())


def test_what_a_killed_export_left_is_removed(dataset: Path, model: Path, tmp_path: Path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    for pid in (gone.pid, os.getppid()):
        (tmp_path / f".longrlvr-export-{pid}.unfinished").mkdir()
    exported(dataset, "trl", model, tmp_path / "out")
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert left == [f".longrlvr-export-{os.getppid()}.unfinished"]  # that one may be at work


def test_what_cannot_be_exported_is_a_sentence(dataset: Path, model: Path, tmp_path: Path):
    def said(*options: str, code: int) -> str:
        done = call("export", *options, "-o", tmp_path / "out")
        assert done.exit_code == code, done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "out").exists()
        return done.stderr

    of = ["--to", "verl", "--model", str(model)]
    assert "no row is left for verl. 0 rows; 3 left out" in said(str(dataset), *of, "--max-prompt-tokens", "9", code=1)
    assert "no dataset is there" in said(str(tmp_path), *of, code=1)
    nowhere = ["--to", "verl", "--model", str(tmp_path / "nowhere")]
    assert "there is no such folder" in said(str(dataset), *nowhere, code=2)
    assert "leaves no room for a prompt" in said(str(dataset), *of, "--max-response-tokens", "50000", code=2)
    (tmp_path / "empty").mkdir()
    pq.write_table(pq.read_table(dataset / "train.parquet").slice(0, 0), tmp_path / "empty" / "train.parquet")
    assert "It has none" in said(str(tmp_path / "empty"), *of, code=1)


def changed(model: Path, folder: Path, **config: Any) -> Path:
    """A copy of the model whose tokenizer's settings are others."""
    shutil.copytree(model, folder)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    return folder


def test_models_that_cannot_be_prompted_are_refused(dataset: Path, model: Path, tmp_path: Path):
    failing = changed(model, tmp_path / "failing", chat_template="{{ messages[0].content + 1 }}")
    done = exported(dataset, "trl", failing, tmp_path / "out")
    assert (done.exit_code, "The template says: TypeError" in done.stderr) == (1, True)
    bare = changed(model, tmp_path / "bare", chat_template=None)
    assert "it has no chat template" in exported(dataset, "trl", bare, tmp_path / "out").stderr
    without = shutil.copytree(model, tmp_path / "without")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (without / name).unlink()
    assert exported(dataset, "trl", without, tmp_path / "out").exit_code == 2
    assert not (tmp_path / "out").exists()


def test_positions_are_those_of_the_text_model(dataset: Path, model: Path, tmp_path: Path):
    both = shutil.copytree(model, tmp_path / "both")
    text = json.loads((both / "config.json").read_text())
    text |= {"model_type": "gemma3_text", "max_position_embeddings": 8192}
    (both / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": text}))
    done = call("export", dataset, "--to", "trl", "--model", both, "-o", tmp_path / "out", "--json")
    found = json.loads(done.stdout)
    assert found["max_prompt_tokens"] == 4096
    assert not {*found, *found["splits"]["train"]} - keys_of("export")


def test_an_answer_that_no_response_can_hold_is_left_out(dataset: Path, model: Path, tmp_path: Path):
    rows = [row("first", SMALL), row("last", SMALL)]
    rows[1]["reward_model"]["ground_truth"] = "oak, elm and ash; " * 3000
    pq.write_table(pa.Table.from_pylist(rows), dataset / "train.parquet")
    done = exported(dataset, "jsonl", model, tmp_path / "out", "-v")
    assert "1 left out: an answer longer than a response may be" in done.stdout
    assert "left out: train/2" in done.stderr


def test_an_answer_that_is_shown_otherwise_is_left_out(dataset: Path, model: Path, tmp_path: Path):
    """A model that quotes it as it was shown, with a backslash, would be told that it is wrong."""
    rows = [row("first", SMALL), row("last", SMALL)]
    rows[1]["reward_model"]["ground_truth"] = "the <image> tag"
    pq.write_table(pa.Table.from_pylist(rows), dataset / "train.parquet")
    done = exported(dataset, "trl", model, tmp_path / "out")
    assert "1 left out: an answer with a token that prompts show with a backslash" in done.stdout


def test_a_column_of_another_type_is_a_sentence(dataset: Path, model: Path, tmp_path: Path):
    odd = row("first", SMALL)
    odd["extra_info"]["doc_id"] = 7
    pq.write_table(pa.Table.from_pylist([odd]), dataset / "train.parquet")
    done = exported(dataset, "trl", model, tmp_path / "out")
    assert (done.exit_code, "a column has other values" in done.stderr) == (1, True)
    assert list(tmp_path.glob(".longrlvr*")) == []


def test_stretched_positions_count(dataset: Path, model: Path, tmp_path: Path):
    stretched = shutil.copytree(model, tmp_path / "stretched")
    config = json.loads((stretched / "config.json").read_text()) | {"max_position_embeddings": 4000}
    config.pop("rope_parameters", None)
    config["rope_scaling"] = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4000}
    (stretched / "config.json").write_text(json.dumps(config))
    done = call("export", dataset, "--to", "trl", "--model", stretched, "-o", tmp_path / "out", "--json")
    assert json.loads(done.stdout)["max_prompt_tokens"] == 16_000 - 4096


def test_without_validation_rows_verl_validates_nothing(dataset: Path, model: Path, tmp_path: Path):
    exported(dataset, "verl", model, tmp_path / "out")
    script = (tmp_path / "out" / "run_verl.sh").read_text()
    assert not (tmp_path / "out" / "validation.parquet").exists()
    assert "validation=train" in script
    assert "trainer.test_freq=-1" in script
