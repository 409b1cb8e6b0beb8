"""`export --to hf`: three configurations that `datasets` loads, and nothing in them of where they were made."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from datagen import prompts, shards
from datagen.dataset.schema import SCHEMA
from datagen.export import reward_file
from datagen.export.hub import columns, origin, rebuild, tables
from datagen.export.hub.card import named
from datagen.grounding import tags
from datagen.text.quickstart import write_corpus
from datagen.train import tiny
from tests.commands.calls import call, contents
from tests.commands.test_json import keys_of
from tests.export.test_export import row as published
from tests.servers.openai_server import serve
from tests.servers.settings import Settings

datasets = pytest.importorskip("datasets")

MARKER = "marker-4711"
CONFIG = """
chunk: {max_tokens: 60, documents_per_shard: 1}
embed: {device: cpu}
cluster: {min_cohesion: 0.3, min_cluster_size: 2, max_clusters: 4}
engine: {model: MODEL, endpoints: [{base_url: "URL"}]}
generate: {method: llm}
judge: {method: llm}
select: {per_document: 8, per_cluster: 2, min_rating: 5, validation_fraction: 0.3, max_prompt_tokens: 1000}
dataset: {license: psf-2.0, language: [en]}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Path, str]:
    """A run with a language model in a folder that nobody is to know of, its export, and the server's address."""
    root = tmp_path_factory.mktemp("hub") / MARKER
    (root / "corpus").mkdir(parents=True)
    for file in write_corpus(root / "whole")[:3]:
        (root / "corpus" / file.name).write_text(file.read_text(encoding="utf-8")[:5000], encoding="utf-8")
    with serve(Settings()) as server:
        (root / "c.yaml").write_text(CONFIG.replace("URL", server.url).replace("MODEL", f"{root}/models/scripted"))
        given = ("-c", root / "c.yaml", "--input", root / "corpus", "-o", root / "run", "--workers", "1")
        assert call("run", *given).exit_code == 0
    done = call("export", root / "run", "--to", "hf", "-o", root.parent / "out")
    assert done.exit_code == 0, done.stderr
    return root / "run", root.parent / "out", server.url


def rows_of(folder: Path, config: str, split: str) -> list[dict[str, Any]]:
    files = sorted((folder / tables.FOLDERS[config]).glob(f"{split}-*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def chunks_of(folder: Path) -> dict[str, list[str]]:
    return {row["document_id"]: row["chunks"] for row in rows_of(folder, "documents", "documents")}


def assert_rebuilt(folder: Path, *splits: str) -> None:
    for split in splits:
        full, questions = rows_of(folder, "default", split), rows_of(folder, "questions", split)
        assert full
        assert [rebuild.prompt(row, chunks_of(folder)) for row in questions] == [row["prompt"] for row in full]
        for row in full:
            del row["prompt"]
        assert [{name: row[name] for name in full[0]} for row in questions] == full


def test_the_rows_are_those_of_the_dataset_and_prompts_are_made_again_to_the_byte(made):
    run, out, _ = made
    for split in ("train", "validation"):
        source = pq.read_table(sorted((run / "dataset" / "data").glob(f"{split}-*"))).to_pylist()
        for row in source:
            row["extra_info"]["generator"] = "scripted"  # it was a path
        assert rows_of(out, "default", split) == source
    assert_rebuilt(out, "train", "validation")
    windows = [row["document"] for split in ("train", "validation") for row in rows_of(out, "questions", split)]
    assert len({w["document_id"] for w in windows}) == len(chunks_of(out)) < len(windows)
    assert any(w["first_chunk"] for w in windows)


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_loads_each_configuration_as_it_was_written(made, streaming: bool, tmp_path: Path, monkeypatch):
    _, out, _ = made
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    assert sorted(datasets.get_dataset_config_names(str(out))) == ["default", "documents", "questions"]
    splits = {"default": ("train", "validation"), "questions": ("train", "validation"), "documents": ("documents",)}
    for config, names in splits.items():
        for split in names:
            given: dict[str, Any] = {"split": split, "streaming": streaming, "cache_dir": str(tmp_path / "cache")}
            found = datasets.load_dataset(str(out), config, **given)
            assert list(found) == rows_of(out, config, split)
            if not streaming:
                assert found.features.arrow_schema.remove_metadata().equals(tables.SCHEMAS[config])
    default = datasets.load_dataset(str(out), split="train", streaming=streaming, cache_dir=str(tmp_path / "cache"))
    assert list(default) == rows_of(out, "default", "train")


def test_the_card_says_how_to_load_and_to_score_in_code_that_runs(made, tmp_path: Path, monkeypatch):
    _, out, _ = made
    _, header, body = (out / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    known = yaml.safe_load(header)
    assert (known["license"], known["language"], known["size_categories"]) == ("psf-2.0", ["en"], ["n<1K"])
    assert [(c["config_name"], c.get("default")) for c in known["configs"]] == [
        ("default", True),
        ("questions", None),
        ("documents", None),
    ]
    for said in ("| judge | candidates |", "of pairs of answers whose truth is known", "engine.model: scripted\n"):
        assert said in body
    assert re.search(r"\| select \| prompt task\S* \| `[0-9a-f]{16}` \|", body)
    assert "arXiv:2603.02146" in body
    monkeypatch.syspath_prepend(str(out))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", body, re.MULTILINE | re.DOTALL))
    names: dict[str, Any] = {}
    exec(code.replace("OWNER/NAME", str(out)).replace("reward(resp", "found = reward(resp"), names)
    assert names["prompts"] == [row["prompt"] for row in rows_of(out, "default", "train")]
    assert set(names["found"]) == {"score", "answer", "precision", "recall", "fbeta"}


def test_every_column_is_explained():
    for config, said in columns.SAID.items():
        there = {name for name, _ in named(tables.SCHEMAS[config])}
        if config == "questions":
            there -= {name for name, _ in named(SCHEMA)}
        assert said.keys() == there


def test_nothing_tells_where_it_was_made(made):
    run, out, url = made
    provenance = (run / "dataset" / "provenance.json").read_text()
    assert MARKER in provenance + (run / "dataset" / "README.md").read_text()  # it can be found, then
    for name, data in contents(out).items():
        text = data.decode(errors="replace")
        if name.endswith(".parquet"):
            text += str(pq.read_table(out / name).to_pylist()) + str(pq.read_metadata(out / name).metadata)
        for secret in (MARKER, url.split("//")[1], str(run.parent), "/tmp", "/home"):
            assert secret.split("/v1")[0] not in text, name
    names = {name for name in contents(out) if not name.endswith(".parquet")}
    assert names == {"README.md", "export.json", "provenance.json", reward_file.NAME}
    assert (
        json.loads((out / "provenance.json").read_text())["stages"]["generate"]["settings"]["engine.model"]
        == "scripted"
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B"),
        ("package.module:name", "package.module:name"),
        ("hf:/home/alice/a model", "hf:a model"),
        ("hf:/home/alice/model", "hf:model"),
        ("hf:Qwen/Qwen2.5-7B", "hf:Qwen/Qwen2.5-7B"),
        ("work/alice/model/", "model"),
        ("~/model", "model"),
        ("~alice/model", "model"),
        ("../model", "model"),
        (r"C:\Users\alice\model", "model"),
        ("https://alice:secret@host:80/v1/model?key=1#x", "model"),
        ("https://alice:secret@host:80", "…"),
        ("served by https://alice:secret@host:80/?key=1", "served by …"),
        ("file:///home/alice/model", "model"),
        ("hf:/home/al ice/model", "hf:model"),
        ("--template=/home/alice/t.jinja and/or text", "--template=t.jinja and/or text"),
        ("multi-hop", "multi-hop"),
        ("/", "…"),
        ({"a": ["/home/alice/x", 1, None]}, {"a": ["x", 1, None]}),
        ({"dataset.license_link": "https://a.b/c"}, {"dataset.license_link": "https://a.b/c"}),
    ],
)
def test_of_a_path_or_an_address_the_last_part_is_shown(given, shown):
    assert origin.shareable(given) == shown


def test_the_same_dataset_gives_the_same_bytes(made, tmp_path: Path):
    run, out, _ = made
    done = call("export", run / "dataset", "--to", "hf", "-o", tmp_path / "again", "--json")
    assert contents(tmp_path / "again") == contents(out)
    found = json.loads(done.stdout)
    record = json.loads((out / "export.json").read_text())
    assert found == {"schema_version": 1, "output_dir": str(tmp_path / "again"), **record}
    assert not {*found, *found["splits"]["train"], *found["files"]["README.md"]} - keys_of("export")
    assert record["files"].keys() == contents(out).keys() - {"export.json"}


def row(chunks: list[str], first: int | None = 0, doc_id: str | None = "d", **info: Any) -> dict[str, Any]:
    """A row whose prompt shows these chunks."""
    task = prompts.load_task("task")
    content = prompts.render(task, context=tags.render_context(chunks), question="Where {{context}} <answer>?")
    info = {"qa_id": "q", "doc_id": doc_id, "first_chunk": first, "question": "Where?", "ref_chunks": [0]} | info
    answer = {"style": "rule", "ground_truth": "there"}
    return {"data_source": "made", "prompt": [{"role": "user", "content": content}], "reward_model": answer} | {
        "extra_info": info
    }


def exported(folder: Path, rows: list[dict[str, Any]], *options: str | Path, code: int = 0) -> Any:
    """The export of a dataset of these rows; or what was said where there is none."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / "data" / "train-00000-of-00001.parquet")
    done = call("export", folder, "--to", "hf", "-o", folder / "out", *options)
    assert done.exit_code == code, done.stderr
    return done.stderr if code else folder / "out"


def test_windows_of_a_document_are_put_together_and_what_none_shows_is_unknown(tmp_path: Path):
    chunks = [f"chunk {i}, <CHUNK_{i}> and </answer>" for i in range(9)]
    out = exported(tmp_path / "d", [row(chunks[5:7], 5), row(chunks[1:3], 1), row(chunks[2:6], 2), row(["é"], 8)])
    (document,) = rows_of(out, "documents", "documents")
    shown = [tags.neutralise(chunk) for chunk in chunks]
    assert document == {"document_id": "d", "doc_id": "d", "chunks": [None, *shown[1:7], None, "é"]}
    assert_rebuilt(out, "train")


def test_two_documents_of_one_id_stay_two(tmp_path: Path):
    given = [row(["a", "b"]), row(["a", "c"]), row(["b"], 1), row(["c", "x"], 1), row(["y"], doc_id="d#2")]
    out = exported(tmp_path / "d", given)
    assert chunks_of(out) == {"d": ["a", "b"], "d#2": ["a", "c", "x"], "d#2#2": ["y"]}
    assert_rebuilt(out, "train")


def test_where_no_document_is_named_each_text_is_one(tmp_path: Path):
    out = exported(tmp_path / "d", [row(["a", "b"], None), row(["a", "b"], None), row(["a"], doc_id=None)])
    found = rows_of(out, "documents", "documents")
    assert [(r["doc_id"], r["chunks"]) for r in found] == [("d", ["a", "b"]), (None, ["a"])]
    assert all(r["document_id"].startswith("sha256-") for r in found)
    assert_rebuilt(out, "train")


def test_the_published_layout_gets_ids_and_says_that_its_origin_is_unknown(tmp_path: Path):
    pq.write_table(pa.Table.from_pylist([published("first", 40), published("last", 50)]), tmp_path / "train.parquet")
    assert call("export", tmp_path, "--to", "hf", "-o", tmp_path / "out").exit_code == 0
    found = rows_of(tmp_path / "out", "questions", "train")
    assert [(r["extra_info"]["qa_id"], r["extra_info"]["split"]) for r in found] == [
        ("train/1", "train"),
        ("train/2", "train"),
    ]
    assert_rebuilt(tmp_path / "out", "train")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "is not recorded" in card
    assert "license" not in yaml.safe_load(card.split("---\n")[1])
    assert not (tmp_path / "out" / "provenance.json").exists()


def test_a_first_row_of_questions_is_light_and_row_groups_are_small(tmp_path: Path, monkeypatch):
    """The dataset viewer shows no first row above 200 kB, and no row group above some 300 MB."""
    chunks = [f"{i} " + "token " * 508 for i in range(128)]  # 64 k tokens
    long = row(chunks, ref_chunks=list(range(16)), ref_chunks_text=chunks[:16], metadata='{"title": "t"}')
    monkeypatch.setattr(tables, "GROUP_BYTES", 1 << 20)
    monkeypatch.setattr(tables, "FILE_BYTES", 4 << 20)
    out = exported(tmp_path / "d", [long] * 12)
    assert len(json.dumps(rows_of(out, "default", "train")[0])) > 350_000
    assert len(json.dumps(rows_of(out, "questions", "train")[0])) < 200_000
    files = sorted((out / "data").iterdir())
    assert [file.name for file in files] == [f"train-{i:05d}-of-00002.parquet" for i in range(2)]
    for file in files:
        metadata = pq.read_metadata(file)
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        assert all(group.total_byte_size < 2 << 20 for group in groups)
        assert groups[0].column(0).has_offset_index
        shards.verify(str(file))
    assert_rebuilt(out, "train")


def test_it_needs_nothing_but_the_base_install(tmp_path: Path):
    """No tokenizer, no client of the Hub: those come in where they are asked for."""
    folder = exported(tmp_path / "d", [row(["a"])]).parent
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['jinja2', 'transformers', 'datasets', 'huggingface_hub'])); "
        "from datagen.cli import app; app()"
    )
    words = ["export", str(folder), "--to", "hf", "-o", str(tmp_path / "bare")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "bare") == contents(folder / "out")


def test_with_a_model_what_is_too_long_is_left_out_and_the_others_stay_as_they_are(tmp_path: Path):
    model = tiny.build(tmp_path / "my model", ["The red oak stood."], 400, max_position_embeddings=40_000)
    given = [row(["The <image> stood."], qa_id="kept"), row(["oak " * 9000], qa_id="long")]
    out = exported(tmp_path / "d", given, "--model", model, "--max-prompt-tokens", "8000")
    (kept,) = rows_of(out, "default", "train")
    assert kept["prompt"] == given[0]["prompt"]  # no token of one model is written with a backslash
    record = json.loads((out / "export.json").read_text())
    assert (record["model"], record["splits"]["train"]["left_out_ids"]) == ("my model", ["long"])
    assert "1 left out: too long a prompt, 8,000 tokens at most" in (out / "README.md").read_text()
    said = exported(tmp_path / "d", given, "--model", model, "--max-prompt-tokens", "9", code=1)
    assert "no row is left for the Hub. 0 rows; 2 left out" in said


def test_what_cannot_be_exported_is_a_sentence(tmp_path: Path):
    cut = row(["a", "b"], qa_id="q7")
    cut["prompt"][0]["content"] = cut["prompt"][0]["content"].replace("</CHUNK_1>", "")
    assert "q7: its prompt cannot be parted" in exported(tmp_path / "d", [cut], code=1)
    bare = row(["a"], qa_id="q8") | {"prompt": [{"role": "user", "content": "Where?"}]}
    assert "q8: its prompt cannot be parted" in exported(tmp_path / "d", [bare], code=1)
    assert "first_chunk: -1 is no number" in exported(tmp_path / "d", [row(["a"], -1)], code=1)
    assert "add --model NAME" in exported(tmp_path / "d", [row(["a"])], "--max-prompt-tokens", "9", code=2)
    assert "--to verl needs the model" in call("export", tmp_path, "--to", "verl", "-o", tmp_path / "x").stderr
    out = exported(tmp_path / "d", [row(["a"])])
    before = contents(out)
    assert call("export", tmp_path / "d", "--to", "hf", "-o", out).exit_code == 2
    assert contents(out) == before
    assert list((tmp_path / "d").glob(".*")) == []
    for name, text in (("README.md", "---\n- a\n---\n"), ("README.md", "---\na: [\n---\n"), ("provenance.json", "{}")):
        (tmp_path / "d" / name).write_text(text)
        done = call("export", tmp_path / "d", "--to", "hf", "-o", tmp_path / "other")
        assert (done.exit_code, name in done.stderr, "Traceback" in done.stderr) == (1, True, False), done.stderr
        (tmp_path / "d" / name).unlink()
