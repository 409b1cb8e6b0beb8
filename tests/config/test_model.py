import re
from typing import Any

import pytest

from datagen import resources
from datagen.config import layers
from datagen.config import model as config
from datagen.config.model import Config
from datagen.config.section import Section
from datagen.errors import ConfigError


def problem(text: str, **overrides) -> str:
    with pytest.raises(ConfigError) as e:
        config.parse(text, "my.yaml", overrides)
    assert e.value.exit_code == 2
    return str(e.value)


@pytest.mark.parametrize("name", resources.names("configs"))
def test_every_shipped_configuration_is_valid(name):
    assert config.load(resources.path("configs", name)) != Config()


@pytest.mark.parametrize(
    "text",
    [
        "engine: {endpoints: [{base_url: 'https://me:hunter2@there/v1'}]}",
        "engine: {endpoints: [{base_url: 'https://there/v1?api-key=hunter2'}]}",
        "engine: {endpoints: [{base_url: 'https://there/v1;token=hunter2'}]}",
        "engine: {endpoints: [{base_url: 'https://there/v1?apikey=hunter2'}]}",
        "generate: {sampling: {extra: {api_key: hunter2}}}",
        "embed: {model: m, endpoints: [{base_url: 'https://hunter2@there/v1'}]}",
        "engine: {endpoints: [{api_key: hunter2}]}",
        "engine: {endpoints: [{api_key_env: sk-hunter2}]}",
        "engine: {endpoints: [{api_key_env: 'hunter2 '}]}",
        "input: {path: 's3://key:hunter2@bucket/documents'}",
        "select: {decontaminate: ['https://me:hunter2@there/b.jsonl']}",
    ],
)
def test_a_secret_is_neither_taken_nor_shown(text):
    assert "hunter2" not in problem(text)


def test_an_address_without_a_scheme_is_refused():
    assert "begins with http:// or https://" in problem("engine: {endpoints: [{base_url: 'localhost:8000/v1'}]}")
    assert "ends before /chat/completions" in problem(
        "engine: {endpoints: [{base_url: 'http://localhost:8000/v1/chat/completions'}]}"
    )


def test_an_address_with_a_query_is_refused():
    """It would be sent before the path."""
    azure = "https://me.openai.azure.com/openai/deployments/mine?api-version=2024-10-21"
    assert "https://NAME.openai.azure.com/openai/v1" in problem(f"engine: {{endpoints: [{{base_url: '{azure}'}}]}}")


@pytest.mark.parametrize("text", ["", "\n", "# nothing but a remark\n", "{}"])
def test_an_empty_file_means_the_defaults(text):
    assert config.parse(text, "my.yaml") == config.load(None) == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chunk:\n  max_tokns: 3", "my.yaml:2: chunk.max_tokns: unknown setting; did you mean 'max_tokens'?"),
        ("\nchunks: {}", "my.yaml:2: chunks: unknown setting; did you mean 'chunk'?"),
        (
            "embed: {zzz: 1}",
            "my.yaml:1: embed.zzz: unknown setting; known here: model, revision, dtype, device, endpoints",
        ),
        (
            "seed: 1\nchunk:\n  max_tokens: 15",
            "my.yaml:3: chunk.max_tokens: input should be greater than or equal to 16",
        ),
        (
            "cluster: {min_similarity: 1.5}",
            "my.yaml:1: cluster.min_similarity: input should be less than or equal to 1",
        ),
        ("cluster: {min_similarity: .nan}", "my.yaml:1: cluster.min_similarity: input should be a finite number"),
        ("workers: 0", "my.yaml:1: workers: input should be greater than or equal to 1, got 0"),
        ("seed: many", "my.yaml:1: seed: input should be a valid integer"),
        ("seed: 1.5", "my.yaml:1: seed: input should be a valid integer"),
        ("input: {limit: yes}", "my.yaml:1: input.limit: yes or no is not what this setting takes, got True"),
        ("input: {strict: 7}", "my.yaml:1: input.strict: input should be a valid boolean"),
        ("input: {hf_revision: 12}", "my.yaml:1: input.hf_revision: input should be a valid string, got 12"),
        (
            "cluster: {published: maybe}",
            "my.yaml:1: cluster.published: input should be a valid boolean, unable to interpret input, got 'maybe'",
        ),
        ("chunk: {max_tokens: [1, 2]}", "my.yaml:1: chunk.max_tokens: input should be a valid integer, got [1, 2]"),
        ("seed:", "my.yaml:1: seed: input should be a valid integer, got nothing"),
        ("chunk: 512", "my.yaml:1: chunk: a section holds settings, such as 'tokenizer:', got 512"),
        ("seed: 1\nchunk:\n", "my.yaml:2: chunk: a section holds settings, such as 'tokenizer:', got nothing"),
        ("chunk: [max_tokens]", "my.yaml:1: chunk: a section holds settings, such as 'tokenizer:', got ['max_tokens']"),
        ("cluster: {min_cluster_size: 30}", "my.yaml:1: cluster: max_cluster_size must not be below min_cluster_size"),
        ("generate: {max_evidence: 1}", "my.yaml:1: generate: max_evidence must not be below min_evidence"),
        ("chunk:\n  max_tokens: 99\n  max_tokens: 99", "my.yaml:3: 'max_tokens' is set twice"),
        ("seed: 1\nseed: 1", "my.yaml:2: 'seed' is set twice"),
        ("- chunk", "my.yaml: expected sections such as 'chunk:', found a list"),
        ("just words", "my.yaml: expected sections such as 'chunk:', found a str"),
        ("chunk:\n\tmax_tokens: 9", "my.yaml:2: not valid YAML: found character '\\t' that cannot start any token"),
        ("a: b: c", "my.yaml:1: not valid YAML: mapping values are not allowed here"),
        ("seed: 1\n---\nseed: 2", "my.yaml:2: not valid YAML: but found another document"),
        ("seed: \0", "my.yaml: not valid YAML: unacceptable character #x0000: special characters are not allowed"),
        ("seed: !secret 3", "my.yaml:1: !secret is no kind of value that a setting has"),
        ("\nseed: 2024-13-45", "my.yaml:2: not valid YAML: '2024-13-45': month must be in 1..12"),
        ("? [seed]\n: 1", "my.yaml:1: a setting's name is a word, not a list or a mapping"),
        ("seed: &a [*a]", "my.yaml: nested too deeply, or an alias stands inside what it names"),
    ],
)
def test_a_mistake_is_named_with_its_place(text, message):
    assert problem(text).startswith(message)


def test_all_mistakes_are_named_at_once():
    text = "seed: -1\nchunk:\n  max_tokens: 1\n  size: 2"
    assert [re.match(r"my\.yaml:\d: [\w.]+", line)[0] for line in problem(text).splitlines()] == [  # pyright: ignore[reportOptionalSubscript]
        "my.yaml:1: seed",
        "my.yaml:3: chunk.max_tokens",
        "my.yaml:4: chunk.size",
    ]


def test_a_number_reads_as_its_kind():
    read = config.parse("select: {min_rating: 5, max_similarity: 1e-3}\nchunk: {max_tokens: 64}", "my.yaml")
    assert repr(read.select.min_rating) == "5.0"
    assert read.select.max_similarity == 0.001
    assert read.chunk.max_tokens == 64


def test_overrides_stand_over_the_file():
    text = "seed: 1\ninput: {path: there, limit: 3}"
    read = config.parse(text, "my.yaml", {"input.path": "here", "seed": 2, "input.limit": None, "chunk.max_tokens": 32})
    assert (read.input.path, read.seed, read.input.limit, read.chunk.max_tokens) == ("here", 2, 3, 32)
    assert config.parse("input:", "my.yaml", {"input.path": "here"}).input.path == "here"
    assert config.load(None, {"workers": 3}).workers == 3
    assert problem("", **{"chunk.max_tokns": 1}).startswith(
        "the command line: chunk.max_tokns: unknown setting; did you mean"
    )
    assert problem("chunk: 5", **{"chunk.max_tokens": 32}).startswith("my.yaml:1: chunk: a section holds settings")


def test_merge_replaces_and_checks():
    before = config.parse("seed: 1\nchunk: {max_tokens: 64}", "my.yaml")
    after = config.merge(before, {"input.path": "here", "seed": None})
    assert (before.input.path, after.input.path) == (None, "here")
    assert (after.seed, after.chunk) == (1, before.chunk)
    with pytest.raises(ConfigError, match=r"^the command line: chunk\.max_tokens: "):
        config.merge(before, {"chunk.max_tokens": 0})


def test_a_configuration_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="frozen"):
        Config().seed = 3


def test_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("dataset: {name: é}".encode("latin-1"))
    for name, message in {
        "none.yaml": "no such configuration",
        "latin.yaml": "cannot be read",
        "": "cannot be",
    }.items():
        with pytest.raises(ConfigError, match=message):
            config.load(tmp_path / name)


def test_settings_of_leaves_out_what_changes_no_byte():
    read = config.parse("seed: 7\ninput: {path: here, strict: true}\nembed: {device: cuda}\nworkers: 3", "my.yaml")
    settings = config.settings_of(read, "input", "embed", "seed")
    assert settings == {
        "input.text_column": "text",
        "input.id_column": "id",
        "input.encoding": None,
        "input.limit": None,
        "input.max_document_mb": 100,
        "input.extensions": (),
        "input.folder_is_document": False,
        "input.hf_subset": None,
        "input.hf_split": "train",
        "input.hf_revision": None,
        "embed.model": "embedded",
        "embed.revision": None,
        "embed.dtype": "float32",
        "seed": 7,
    }


def test_settings_of_holds_every_other_field():
    runtime = {
        "input.path",
        "input.strict",
        "embed.device",
        "embed.endpoints",
        "select.decontaminate",
        "dataset.prompt",
    }
    sections = ("input", "chunk", "embed", "cluster", "select", "dataset")
    dump = Config().model_dump()
    named = {f"{section}.{key}" for section in sections for key in dump[section]}
    assert set(config.settings_of(Config(), *sections)) == named - runtime


def test_settings_of_a_method_count_under_it_only():
    """A change of the language model makes nothing stale that no language model made."""
    extractive = config.settings_of(Config(), "generate", "judge")
    assert set(extractive) == {
        *(f"generate.{name}" for name in ("method", "candidates", "min_evidence", "max_evidence")),
        *(f"judge.{name}" for name in ("method", "max_question_chars", "max_answer_chars")),
    }
    text = """
engine: {model: small, timeout: 5, price: {prompt: 1}, endpoints: [{base_url: "http://here/v1"}]}
generate: {method: llm, engine: {model: big, max_attempts: 2}, sampling: {temperature: null}}
judge: {method: llm}
"""
    read = config.parse(text, "my.yaml")
    generate, judge = config.settings_of(read, "generate"), config.settings_of(read, "judge")
    assert (generate["engine.model"], judge["engine.model"]) == ("big", "small")
    assert generate["generate.sampling.temperature"] is None
    where = ("endpoints", "timeout", "max_attempts", "price", "kind", "prompt")
    assert not [name for name in (*generate, *judge) if name.rpartition(".")[2] in where]


def test_arguments_of_vllm_count_where_they_change_replies():
    def counted(text: str) -> dict[str, Any]:
        return config.settings_of(config.parse(text, "my.yaml"), "train")["engine.vllm"]

    fast, other = "tensor_parallel_size: 4, max_model_len: 9", "quantization: fp8, dtype: half"
    assert counted(f"engine: {{kind: vllm, vllm: {{{fast}}}}}") == counted("") == {}
    assert counted(f"engine: {{kind: vllm, vllm: {{{fast}, {other}}}}}") == {"quantization": "fp8", "dtype": "half"}
    assert counted(f"engine: {{vllm: {{{other}}}}}") == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("generate: {method: llm}", "judge.method must be llm"),
        (
            "engine: {endpoints: [{base_url: 'http://x', api_key: sk-1}]}",
            "api_key: unknown setting; did you mean 'api_key_env'",
        ),
        ("engine: {endpoints: []}", "engine.endpoints"),
        ("embed: {endpoints: [{base_url: 'http://x'}]}", "endpoints need embed.model"),
        ("embed: {endpoints: [{base_url: 'http://x'}], model: m, dtype: float16}", "a server chooses its own"),
        ("engine: {price: {promt: 1}}", "did you mean 'prompt'"),
        ("generate: {question_types: [riddle]}", "generate.question_types.0"),
    ],
)
def test_settings_of_an_engine_are_checked(text: str, says: str):
    with pytest.raises(ConfigError, match=says):
        config.parse(text, "my.yaml")


def sections() -> set[type[Section]]:
    """Every section there is, those that no default holds included."""
    found, todo = set(), [Section]
    while todo:
        below = todo.pop().__subclasses__()
        todo += below
        found |= {kind for kind in below if kind.__module__.startswith("datagen.")}
    return found


@pytest.mark.parametrize("name", sorted(kind.__name__ for kind in sections()))
def test_every_setting_is_described_in_a_sentence(name):
    section = next(kind for kind in sections() if kind.__name__ == name)
    assert section is Config or section.__doc__ != Section.__doc__
    for setting, info in section.model_fields.items():
        if layers.section_of(info.annotation) and info.default is not None:
            continue  # a section has a line of its own
        said = info.description or ""
        assert re.match(r"[A-Z0-9'\"`/(]", said), f"{name}.{setting}: {said!r}"
        assert said.endswith("."), f"{name}.{setting}: {said!r}"


def test_an_encoding_is_a_codec_of_text():
    assert config.merge(Config(), {"input.encoding": "windows-1250"}).input.encoding == "cp1250"
    for name, hint in (("cp12500", "cp1250"), ("koi8", "koi8_r"), ("base64", "such as cp1252"), ("idna", "such as")):
        with pytest.raises(ConfigError, match=f"input.encoding: no encoding that Python knows; .*{hint}"):
            config.merge(Config(), {"input.encoding": name})
