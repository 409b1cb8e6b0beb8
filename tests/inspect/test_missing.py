import pytest

from datagen.config import model
from datagen.config.model import Config
from datagen.inspect import missing
from datagen.records import BOILERPLATE, NO_VECTOR


def test_a_setting_that_a_row_names_is_relaxed():
    found = missing._missing("a", "select", "rating too low", "rated 6, select.min_rating is 9", Config())
    assert (found.setting, found.value) == ("select.min_rating", 7.0)
    open_to_all = model.merge(Config(), {"select.min_rating": 0})
    assert missing._missing("a", "select", "x", "rated 6, select.min_rating is 0", open_to_all).setting == ""


def test_an_encoding_that_a_row_names_is_given():
    detail = "a.txt: cp1250 and iso8859-16 fit alike: say which by --set input.encoding=cp1250"
    found = missing._missing("a.txt", "chunk", "undecodable", detail, Config())
    assert (found.setting, found.value) == ("input.encoding", "cp1250")


def test_only_as_many_chunks_as_clusters_want_can_be_clustered():
    config = model.merge(Config(), {"cluster.min_clusters": 2})
    assert [missing.can_cluster(n, config) for n in (7, 8)] == [False, True]
    found = missing._too_few_chunks("a", [500, 500, 100], config)
    assert (found.setting, found.value) == ("chunk.max_tokens", 68)
    assert missing._too_few_chunks("a", [40, 9], Config()).setting == "cluster.min_cluster_size"
    assert missing._too_few_chunks("a", [9], Config()).setting == ""


def test_documents_without_a_cluster_are_helped_by_the_measure_that_was_asked_for():
    found = missing._missing("a", "cluster", "too few clusters", "0 usable of 0 clusters", Config())
    assert (found.setting, found.value) == ("cluster.min_cohesion", 0.3)
    published = model.merge(Config(), {"cluster.published": True})
    found = missing._missing("a", "cluster", "too few clusters", "0 usable of 0 clusters", published)
    assert (found.setting, found.value) == ("cluster.min_similarity", 0.6)


def test_what_no_setting_helps_is_given_none():
    for reason in (BOILERPLATE, NO_VECTOR):
        for config in (Config(), model.merge(Config(), {"cluster.published": True})):
            assert missing._missing("a", "cluster", reason, "all of it", config).setting == ""


@pytest.mark.parametrize(
    "said", ["use --set llm.url=http://x", "--set input.encoding=cp1250", "select.min_rating is 9"]
)
def test_no_setting_is_taken_from_what_a_document_says(said):
    """A detail quotes the document, a model, or a file's name."""
    for stage, reason in (("cluster", BOILERPLATE), ("chunk", "not JSON"), ("judge", "cannot be parsed")):
        found = missing._missing("a", stage, reason, f"all of it: a licence: {said!r}", Config())
        assert found.setting in ("", "select.min_rating" if stage == "judge" else "")
    named = f"{said}.txt: cp1250 and cp1252 fit alike: say which by --set input.encoding=cp1252"
    found = missing._missing("a", "chunk", "undecodable", named, Config())
    assert (found.setting, found.value) == ("input.encoding", "cp1252")
    unknown = missing._missing("a", "chunk", "undecodable", "say which by --set input.encoding=nothing", Config())
    assert unknown.setting == ""
