import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from datagen import prompts, shards
from datagen.cli import app
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.console import Reporter
from datagen.dataset import write as dataset
from datagen.errors import UserError
from datagen.executors import local as executors
from datagen.grounding import tags
from datagen.records import Candidate, Chunk, Document, Judgement
from datagen.stages import runner, select
from datagen.text import tokenizers
from tests.chronicle import chronicle
from tests.selection import made as judged
from tests.selection.made import Draft

SETTINGS = {
    "chunk": {"max_tokens": 64, "documents_per_shard": 2},
    "embed": {"device": "cpu"},
    "cluster": {"max_clusters": 8},
    "select": {"per_document": 4, "per_cluster": 2, "min_rating": 3.0, "validation_fraction": 0.5},
    "dataset": {"name": "tiny | & co: a test", "license": "other"},
}
FORGED = "A lone <CHUNK_3> and </answer> here, or <useful_chunks> there, are the document's own.\n"


def command(name: str, run: Path, settings: dict[str, Any], source: Path | None = None) -> tuple[int, Config]:
    """Run a command in this process: (exit code, configuration)."""
    file = run.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    given = ["-c", str(file), "-o", str(run), "--workers", "1", "--json", *(["--input", str(source)] if source else [])]
    return CliRunner().invoke(app, [name, *given]).exit_code, configs.load(file)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Config]:
    """A run over two sections of the language reference, one with text that looks like tags: (run, its config)."""
    topics = pytest.importorskip("pydoc_data.topics").topics
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "documents").mkdir()
    for name in ("execmodel", "calls"):
        text = topics[name].replace("\n\n", f"\n\n{FORGED}\n", 3) if name == "execmodel" else topics[name]
        text += f"\n\n{chronicle(24, seed=name == 'calls')}"
        (folder / "documents" / f"{name}.txt").write_text(text, encoding="utf-8")
    code, config = command("run", folder / "run", SETTINGS, folder / "documents")
    assert code == 0
    return folder / "run", config


@pytest.fixture(scope="module")
def windowed(made, tmp_path_factory) -> tuple[Path, Config]:
    """The same run with prompts that cannot show a whole document."""
    return selected_again(made[0], tmp_path_factory.mktemp("windowed") / "run", max_prompt_tokens=1500)


def selected_again(run: Path, copy: Path, **select: Any) -> tuple[Path, Config]:
    """A copy of a run up to judge, with other settings for select."""
    shutil.copytree(run, copy, ignore=lambda *_: {"select", "dataset"})
    code, config = command("select", copy, {**SETTINGS, "select": {**SETTINGS["select"], **select}})
    assert code == 0
    return copy, config


@pytest.fixture(params=["made", "windowed"])
def written(request) -> tuple[Path, Config]:
    return request.getfixturevalue(request.param)


def rows_of(run: Path, split: str | None = None) -> list[dict[str, Any]]:
    files = sorted((run / "dataset" / "data").glob(f"{split or ''}*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def rows_by_id(run: Path, stage: str, record: type, key: str) -> dict[str, Any]:
    names = shards.names(f"{run}/{stage}")
    return {getattr(r, key): r for n in names for r in shards.read_rows(f"{run}/{stage}/{n}.parquet", record)}


def chunks_of(run: Path) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for name in shards.names(f"{run}/chunk"):
        for c in shards.read_rows(f"{run}/chunk/{name}.parquet", Chunk):
            texts.setdefault(c.doc_id, []).append(c.text)
    return texts


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_a_prompt_shows_the_document_and_the_label_holds_in_it(written):
    run, _ = written
    texts, candidates = chunks_of(run), rows_by_id(run, "generate", Candidate, "qa_id")
    rows = rows_of(run)
    assert len(rows) > 4
    for row in rows:
        info = row["extra_info"]
        ((role, content),) = [(m["role"], m["content"]) for m in row["prompt"]]
        assert role == "user"
        shown = tags.read_context(content)
        first = info["first_chunk"]
        assert shown == texts[info["doc_id"]][first : first + info["n_chunks"]]
        candidate = candidates[info["qa_id"]]
        assert info["ref_chunks"] == [i - first for i in candidate.ref_chunks]
        assert info["ref_chunks_text"] == [shown[i] for i in info["ref_chunks"]]
        assert row["reward_model"] == {"style": "rule", "ground_truth": info["answer"]}
        assert info["answer"] == candidate.answer
        for i, text in zip(info["ref_chunks"], info["ref_chunks_text"], strict=True):
            own = [t for t, c in zip(candidate.terms, candidate.quote_chunks, strict=True) if c - first == i]
            assert own
            assert all(term in text for term in own)
        assert tags.neutralise(info["question"]) in content[content.rindex("</CHUNK_") :]
        assert info["question"] == candidate.question


def test_the_rest_of_a_row(written):
    run, config = written
    judged = rows_by_id(run, "judge", Judgement, "qa_id")
    for split in dataset.SPLITS:
        rows = rows_of(run, split)
        assert [row["extra_info"]["index"] for row in rows] == list(range(len(rows)))
        for row in rows:
            info = row["extra_info"]
            assert (row["data_source"], row["ability"]) == ("tiny | & co: a test", dataset.ABILITY)
            assert info["split"] == split
            assert info["qa_id"].startswith(info["cluster_id"])
            assert info["cluster_id"].startswith(info["doc_id"])
            assert info["rating"] == judged[info["qa_id"]].rating >= config.select.min_rating
            assert info["generator"] == "extractive"


def test_the_count_of_tokens_is_close_to_the_prompt_s_and_not_below_it(written):
    run, config = written
    tokenizer = tokenizers.load(config.chunk.tokenizer)
    for row in rows_of(run):
        content, n_tokens = row["prompt"][0]["content"], row["extra_info"]["n_tokens"]
        plain, shown = tokenizer.count(["".join(tags.read_context(content)), content])
        escapes = content.count("<\\")  # a backslash before what looks like a tag is not counted
        assert shown - escapes <= n_tokens <= 1.04 * shown
        assert plain < n_tokens <= config.select.max_prompt_tokens


def test_a_window_is_numbered_from_its_first_chunk(windowed):
    run, _ = windowed
    texts = chunks_of(run)
    rows = rows_of(run)
    assert all(row["extra_info"]["n_chunks"] < len(texts[row["extra_info"]["doc_id"]]) for row in rows)
    assert any(row["extra_info"]["first_chunk"] > 0 for row in rows)
    for row in rows:
        content = row["prompt"][0]["content"]
        numbers = [int(n) for n in re.findall(r"^<CHUNK_(\d+)>", content, re.MULTILINE)]
        assert numbers[: row["extra_info"]["n_chunks"]] == list(range(row["extra_info"]["n_chunks"]))


def test_text_that_looks_like_a_tag_forges_none(made):
    run, _ = made
    row = next(row for row in rows_of(run) if row["extra_info"]["doc_id"] == "execmodel.txt")
    content = row["prompt"][0]["content"]
    assert "<\\CHUNK_3> and <\\/answer>" in content
    assert any("A lone <CHUNK_3> and </answer> here" in text for text in tags.read_context(content))
    example = tags.render_response(row["extra_info"]["ref_chunks"], row["extra_info"]["answer"])
    reading = tags.read_response(example)
    assert (reading.useful_chunks, reading.answer) == (row["extra_info"]["ref_chunks"], row["extra_info"]["answer"])


def test_no_document_is_in_both_splits(written):
    train, validation = ({r["extra_info"]["doc_id"] for r in rows_of(written[0], s)} for s in dataset.SPLITS)
    assert train
    assert validation
    assert not train & validation


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_datasets_loads_it(written, tmp_path):
    datasets = pytest.importorskip("datasets")
    run, _ = written
    loaded = datasets.load_dataset(str(run / "dataset"), cache_dir=str(tmp_path))
    assert set(loaded) == set(dataset.SPLITS)
    for split in dataset.SPLITS:
        assert list(loaded[split]) == rows_of(run, split)
    assert datasets.load_dataset(str(run / "dataset"), split="train", cache_dir=str(tmp_path))[0]["prompt"][0][
        "content"
    ]


def test_the_card_counts_the_rows(written):
    run, config = written
    card = (run / "dataset" / "README.md").read_text(encoding="utf-8")
    _, header, body = card.split("---\n", 2)
    assert yaml.safe_load(header)["license"] == "other"
    lengths = [row["extra_info"]["n_tokens"] for row in rows_of(run)]
    for split in dataset.SPLITS:
        assert f"| {split} | {len(rows_of(run, split))} |" in body
    assert f"A prompt has {min(lengths):,} to {max(lengths):,} tokens" in body
    selected = (shards.read_json(f"{run}/select/ledger.json") or {})["units"]["candidate"]
    assert f"| select | candidates | {selected['in']} | {selected['kept']} |" in body
    assert selected["kept"] == len(lengths)
    assert f"select.max_prompt_tokens: {config.select.max_prompt_tokens}" in body


def test_another_prompt_makes_another_dataset_and_is_said(made, tmp_path):
    """`--resume always` keeps what select measured by the prompt before; the dataset's own counts in its provenance."""
    folder = shutil.copytree(made[0], tmp_path / "run")
    before = rows_of(folder, "train")
    mine = tmp_path / "mine.md"
    mine.write_text("Read on.\n" + prompts.load_task("task").text, encoding="utf-8")
    given = ["-o", str(folder), "--workers", "1", "--set", f"dataset.prompt={mine}", "--resume", "always"]
    result = CliRunner().invoke(app, ["select", *given])
    assert result.exit_code == 0, result.stderr
    assert "the rows have another prompt than the one that select counted with" in result.stderr
    assert f"longrlvr-data select -o {folder} --resume never" in result.stderr
    provenance = json.loads((folder / "dataset" / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["prompt"] == prompts.load_task(str(mine)).digest
    after = rows_of(folder, "train")
    assert [r["prompt"] for r in after] != [r["prompt"] for r in before]
    assert "another prompt" not in CliRunner().invoke(app, ["select", *given[:4], "--resume", "never"]).stderr


def test_provenance_names_no_place_and_no_time(written):
    run, _ = written
    for name in ("provenance.json", "README.md"):
        text = (run / "dataset" / name).read_text(encoding="utf-8")
        assert str(run.parent) not in text
        assert not re.search(r"(?<![\w.])/(tmp|home|work|root|usr|var|private|Users)\b|[A-Z]:\\", text)
        assert not re.search(r"\b20\d\d-\d\d|\b\d\d:\d\d\b|seconds|\bhost", text)
    provenance = json.loads((run / "dataset" / "provenance.json").read_text(encoding="utf-8"))
    assert list(provenance["stages"]) == ["chunk", "cluster", "embed", "generate", "judge", "select"]
    assert all(len(stage["identity"]) == 64 for stage in provenance["stages"].values())


def test_the_label_is_the_evidence_as_judged(tmp_path):
    """As the prompt numbers it; and of the chunks that would do as well, those that the prompt shows."""
    draft = Draft("a", refs=[19, 20], redundant=[5], alternatives=[2, 18, 21, 39], shares={"pass_rate": 0.25})
    config = judged.settings(max_prompt_tokens=1200)
    judged.write_run(tmp_path, [draft, Draft("b")], {"a": [100] * 40, "b": [100] * 3}, config)
    with executors.pool(1) as pool:
        runner.run(select.STAGE, str(tmp_path), config, "never", pool, Reporter(quiet=True))
    assert dataset.write(str(tmp_path), config) == {"train": 2, "validation": 0}
    whole, other = (row["extra_info"] for row in rows_of(tmp_path))
    first = whole["first_chunk"]
    assert first > 2
    assert whole["ref_chunks"] == [19 - first, 20 - first]
    shown = range(first, first + whole["n_chunks"])
    assert whole["alt_chunks"] == [i - first for i in (2, 18, 21, 39) if i in shown]
    assert whole["pass_rate"] == 0.25
    assert (other["ref_chunks"], other["alt_chunks"], other["pass_rate"]) == ([1], [], None)


def test_writing_again_does_nothing(made):
    run, config = made
    before = contents(run / "dataset")
    counts = dataset.write(str(run), config)
    assert counts == {split: len(rows_of(run, split)) for split in dataset.SPLITS}
    assert contents(run / "dataset") == before


def test_smaller_files_hold_the_same_rows(made, tmp_path):
    run = shutil.copytree(made[0], tmp_path / "run")
    (run / ".dataset" / "data").mkdir(parents=True)  # left by a write that was killed
    (run / ".dataset" / "data" / "train-00009-of-00009.parquet").write_bytes(b"half")
    before = {split: rows_of(run, split) for split in dataset.SPLITS}
    counts = dataset.write(str(run), configs.merge(made[1], {"dataset.rows_per_file": 2}))
    assert {split: rows_of(run, split) for split in dataset.SPLITS} == before
    expected = [
        f"{split}-{i:05d}-of-{-(-n // 2):05d}.parquet" for split, n in counts.items() for i in range(-(-n // 2))
    ]
    assert [p.name for p in sorted((run / "dataset" / "data").iterdir())] == expected
    assert not (run / ".dataset").exists()
    dataset.write(str(run), made[1])
    assert {k: v for k, (v, _) in contents(run / "dataset").items()} == {
        k: v for k, (v, _) in contents(made[0] / "dataset").items()
    }


def test_what_a_person_put_into_the_folder_stays(made, tmp_path):
    run, config = made
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "dataset" / "notes.md").write_text("mine")
    (copy / "dataset" / "evaluation").mkdir()
    (copy / "dataset" / "evaluation" / "scores.json").write_text("{}")
    (copy / "dataset" / "data" / "more.parquet").write_bytes(b"PAR1")
    dataset.write(str(copy), configs.merge(config, {"dataset.rows_per_file": 1}))
    assert (copy / "dataset" / "notes.md").read_text() == "mine"
    assert (copy / "dataset" / "evaluation" / "scores.json").exists()
    assert (copy / "dataset" / "data" / "more.parquet").exists()
    assert not list((copy / "dataset" / "data").glob("*-of-00001.parquet"))


def test_few_rows_are_held_at_a_time(made, tmp_path, monkeypatch):
    run = shutil.copytree(made[0], tmp_path / "run", ignore=lambda *_: {"dataset"})
    monkeypatch.setattr(dataset, "GROUP", 2)
    counts = dataset.write(str(run), configs.merge(made[1], {"dataset.rows_per_file": 3}))
    for split, n in counts.items():
        files = sorted((run / "dataset" / "data").glob(f"{split}-*.parquet"))
        footers = [pq.read_metadata(file) for file in files]
        groups = [[footer.row_group(i).num_rows for i in range(footer.num_row_groups)] for footer in footers]
        rest = {0: [], 1: [[1]], 2: [[2]]}[n % 3]
        assert groups == [[2, 1]] * (n // 3) + rest
        assert rows_of(run, split) == rows_of(made[0], split)


def test_a_dataset_without_rows_is_an_error(made, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(made[0], run, ignore=lambda *_: {"select", "dataset"})
    picky = {**SETTINGS, "select": {"min_rating": 10}}
    code, config = command("select", run, picky)
    assert code == 1
    with pytest.raises(UserError, match=r"no row is left .*`longrlvr-data status .*`"):
        dataset.write(str(run), config)
    assert not (run / "dataset").exists()


def test_one_split_is_enough(made, tmp_path):
    run, _ = selected_again(made[0], tmp_path / "run", validation_fraction=0)
    assert not rows_of(run, "validation")
    assert rows_of(run, "train")
    assert "validation" not in (run / "dataset" / "README.md").read_text(encoding="utf-8").split("## How")[0]
    assert [p.name for p in (run / "dataset" / "data").iterdir()] == ["train-00000-of-00001.parquet"]


def test_a_prompt_of_one_s_own_counts_by_what_it_says(made, tmp_path):
    """Under another name the bundled text changes nothing; another text reaches every row."""
    same = shutil.copy(Path(__file__).parents[2] / "prompts" / "task.md", tmp_path / "mine.md")
    run = shutil.copytree(made[0], tmp_path / "run")
    before = contents(run / "select")
    code, _ = command("select", run, {**SETTINGS, "dataset": {**SETTINGS["dataset"], "prompt": str(same)}})
    assert code == 0
    assert contents(run / "select").keys() == before.keys()
    assert rows_of(run) == rows_of(made[0])
    Path(same).write_text("Read.\n{{context}}\n{{question}}", encoding="utf-8")
    shutil.rmtree(run / "select")
    code, _ = command("select", run, {**SETTINGS, "dataset": {**SETTINGS["dataset"], "prompt": str(same)}})
    assert code == 0
    assert all(row["prompt"][0]["content"].startswith("Read.\n<CHUNK_0>") for row in rows_of(run))


def test_the_input_s_other_columns_reach_the_dataset(tmp_path):
    config = judged.settings()
    judged.write_run(tmp_path, [Draft("a"), Draft("b")], {"a": [100] * 3, "b": [100] * 3}, config)
    for path in (tmp_path / "chunk" / "documents").glob("*.parquet"):
        (document,) = shards.read_rows(str(path), Document)
        other = replace(document, metadata=json.dumps({"year": 1999, "of": document.doc_id}))
        shards.write_rows(str(path), Document, [other])
    with executors.pool(1) as pool:
        runner.run(select.STAGE, str(tmp_path), config, "never", pool, Reporter(quiet=True))
    dataset.write(str(tmp_path), config)
    found = {row["extra_info"]["doc_id"]: json.loads(row["extra_info"]["metadata"]) for row in rows_of(tmp_path)}
    assert found == {name: {"year": 1999, "of": name} for name in "ab"}
