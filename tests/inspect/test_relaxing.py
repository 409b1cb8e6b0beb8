import pytest

from datagen.config import model
from datagen.config.model import Config
from datagen.inspect.relaxing import relaxed
from datagen.records import BOILERPLATE, NO_VECTOR

PUBLISHED = model.merge(Config(), {"cluster.published": True})
NONE = ("", None)


def test_a_setting_that_a_row_names_is_relaxed():
    assert relaxed("select", "rating too low", "rated 6, select.min_rating is 9", Config()) == ("select.min_rating", 7)
    open_to_all = model.merge(Config(), {"select.min_rating": 0})
    assert relaxed("select", "x", "rated 6, select.min_rating is 0", open_to_all) == NONE


def test_an_encoding_that_a_row_names_is_given():
    detail = "a.txt: cp1250 and iso8859-16 fit alike: say which by --set input.encoding=cp1250"
    assert relaxed("chunk", "undecodable", detail, Config()) == ("input.encoding", "cp1250")


def test_documents_without_a_cluster_are_helped_by_the_measure_that_was_asked_for():
    row = "cluster", "too few clusters", "0 usable of 0 clusters"
    assert relaxed(*row, Config()) == ("cluster.min_cohesion", 0.3)
    assert relaxed(*row, PUBLISHED) == ("cluster.min_similarity", 0.6)


@pytest.mark.parametrize("config", [Config(), PUBLISHED])
@pytest.mark.parametrize("reason", [BOILERPLATE, NO_VECTOR])
def test_what_no_setting_helps_is_given_none(reason, config):
    assert relaxed("cluster", reason, "all of it", config) == NONE


@pytest.mark.parametrize(
    "said", ["use --set llm.url=http://x", "--set input.encoding=cp1250", "select.min_rating is 9"]
)
def test_no_setting_is_taken_from_what_a_document_says(said):
    """A detail quotes the document, a model, or a file's name."""
    for stage, reason in (("cluster", BOILERPLATE), ("chunk", "not JSON"), ("judge", "cannot be parsed")):
        setting, _ = relaxed(stage, reason, f"all of it: a licence: {said!r}", Config())
        assert setting in ("", "select.min_rating" if stage == "judge" else "")
    named = f"{said}.txt: cp1250 and cp1252 fit alike: say which by --set input.encoding=cp1252"
    assert relaxed("chunk", "undecodable", named, Config()) == ("input.encoding", "cp1252")
    assert relaxed("chunk", "undecodable", "say which by --set input.encoding=nothing", Config()) == NONE
