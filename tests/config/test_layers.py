import pytest

from datagen.config import layers, model
from datagen.config.model import Config
from datagen.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("chunk.max_tokens=256", ("chunk.max_tokens", 256)),
        ("cluster.min_similarity = 0.55", ("cluster.min_similarity", 0.55)),
        ("judge.checks=[lint, quality]", ("judge.checks", ["lint", "quality"])),
        ("chunk.tokenizer=hf:Qwen/Qwen2.5-7B", ("chunk.tokenizer", "hf:Qwen/Qwen2.5-7B")),
        ("max_cost=", ("max_cost", None)),
        ("engine.vllm.tensor_parallel_size=2", ("engine.vllm.tensor_parallel_size", 2)),
        ("generate.sampling.temperature=null", ("generate.sampling.temperature", None)),
        ("generate.engine.model=other", ("generate.engine.model", "other")),
        ("judge.max_rereads=1", ("judge.max_parse_retries", 1)),
    ],
)
def test_an_assignment_is_typed_as_yaml(text, setting):
    assert layers.assignment(text, Config) == setting


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chunk.max_tokns=3", "chunk.max_tokens"),
        ("min_similarity=0.5", "cluster.min_similarity"),
        ("zzz.qqqq=1", "no setting zzz.qqqq; the sections are input, chunk"),
        ("chunk.max_tokens.more=1", "there is no setting chunk.max_tokens.more"),
        ("chunk.max_tokens", "expected section.key=value"),
        ("=3", "expected section.key=value"),
        ("judge.checks=[lint", "--set judge.checks: not valid YAML"),
    ],
)
def test_a_wrong_assignment_is_named_with_what_may_be_meant(text, said):
    with pytest.raises(ConfigError) as e:
        layers.assignment(text, Config)
    assert said in str(e.value)


def test_a_layer_changes_only_the_settings_it_has():
    own = layers.read("seed: 3\nchunk: {max_tokens: 64}\njudge: {prompts: {quality: a}}\nengine: {model: x}", "own")
    over = layers.read(
        "chunk: {min_document_tokens: 9}\njudge: {prompts: {grade: b}}\nengine: {endpoints: [{}]}", "file"
    )
    config = layers.combined(Config, [own, over], {"chunk.max_document_tokens": 99})
    assert config.seed == 3
    assert (config.chunk.max_tokens, config.chunk.min_document_tokens, config.chunk.max_document_tokens) == (64, 9, 99)
    assert config.judge.prompts == {"grade": "b"}  # a free-form mapping is one value
    assert config.engine.model == "x"


def test_an_error_names_the_layer_that_has_the_setting():
    own, over = layers.read("seed: 1\nchunk:\n  max_tokens: 2", "own"), layers.read("\n\nseed: -4", "file")
    with pytest.raises(ConfigError) as e:
        layers.combined(Config, [own, over], {"workers": 0})
    assert [line.split(": ")[:2] for line in str(e.value).splitlines()] == [
        ["file:3", "seed"],
        ["the command line", "workers"],
        ["own:3", "chunk.max_tokens"],
    ]


def test_what_an_assignment_puts_into_no_section_is_refused():
    with pytest.raises(ConfigError, match="own:1: chunk: a section holds settings"):
        layers.combined(Config, [layers.read("chunk: 512", "own")], {"chunk.max_tokens": 64})


SAVED = "cluster: {published: false, min_similarity: 0.6, max_clusters: 4}"


@pytest.mark.parametrize(
    ("under", "saved", "over", "similarity"),
    [
        (SAVED, True, "cluster: {published: true}", 0.7),  # 0.6 was nobody's choice
        (SAVED.replace("0.6", "0.55"), True, "cluster: {published: true}", 0.55),
        (SAVED, True, "cluster: {published: true, min_similarity: 0.6}", 0.6),
        (SAVED, False, "cluster: {published: true}", 0.6),  # a person wrote it
        (SAVED, True, "seed: 1", None),
        (SAVED.replace("max_clusters: 4", "min_cohesion: 0.5"), True, "seed: 1", 0.6),  # as this version saves it
        (SAVED, False, "seed: 1", 0.6),
        ("cluster: {published: true, min_similarity: 0.7}", True, "cluster: {published: false}", None),
        ("cluster: {published: true, min_similarity: 0.7}", True, "seed: 1", 0.7),
        ("cluster: {published: true, min_similarity: 0.5}", True, "cluster: {published: false}", 0.5),
    ],
)
def test_what_a_setting_implies_stands_over_defaults_and_under_what_was_given(under, saved, over, similarity):
    below, above = layers.read(under, "own", saved=saved), layers.read(over, "file")
    assert layers.combined(Config, [below, above], {}).cluster.min_similarity == similarity


def test_an_override_implies_as_a_file_does():
    config = layers.combined(Config, [layers.read(SAVED, "own", saved=True)], {"cluster.published": True})
    assert config.cluster.min_similarity == 0.7
    assert model.merge(config, {"cluster.published": False}).cluster.min_similarity is None
    assert model.merge(Config(), {"cluster.published": True}).cluster.min_similarity == 0.7
    assert model.merge(config, {"seed": 3}).cluster.min_similarity == 0.7
