from functools import partial
from importlib.metadata import version

import pytest

from datagen import prompts, shards
from datagen.config import model as configs
from datagen.llm import drive
from datagen.records import Candidate, Chunk, Cluster
from datagen.run.run import Run
from datagen.run.shard import Shard
from datagen.stages import generate
from datagen.tasks.cloze import task
from datagen.tasks.cloze.blanks import without_blanks

NAME = "shard-00000"


@pytest.fixture(scope="module")
def chunked(corpus, go, settings, tmp_path_factory):
    """A run of one document in chunks, ready for clusters made by hand: (run directory, configuration, chunks)."""
    folder = tmp_path_factory.mktemp("chunked")
    config = settings(corpus / "execmodel.txt", chunk__max_tokens=64)
    go(folder, config, "chunk")
    return str(folder), config, shards.read_rows(f"{folder}/chunk/{NAME}.parquet", Chunk)


def generated(chunked, clusters: list[list[int]], **given):
    """What the stage makes of these clusters of the document."""
    folder, config, chunks = chunked
    doc_id = chunks[0].doc_id
    rows = [Cluster(f"{doc_id}/c{min(members)}", doc_id, members, 0.8, 0.3, 0.5) for members in clusters]
    shards.write_rows(f"{folder}/cluster/{NAME}.parquet", Cluster, rows)
    shard = Shard(folder, NAME, configs.merge(config, given))
    return generate.finish(shard, drive.unasked(partial(generate.start, shard)))


def test_candidates_of_a_run(run):
    folder, config = run
    made = 0
    for name in shards.names(f"{folder}/generate"):
        rows = shards.read_rows(f"{folder}/generate/{name}.parquet", Candidate)
        clusters = {c.cluster_id: c for c in shards.read_rows(f"{folder}/cluster/{name}.parquet", Cluster)}
        texts = {(c.doc_id, c.chunk_index): c.text for c in shards.read_rows(f"{folder}/chunk/{name}.parquet", Chunk)}
        for row in rows:
            cluster = clusters[row.cluster_id]
            assert row.doc_id == cluster.doc_id
            assert row.qa_id == f"{row.cluster_id}/q{row.sample}"
            assert row.generator == "extractive"
            assert row.ref_chunks == sorted(set(row.quote_chunks))
            assert set(row.ref_chunks) <= set(cluster.chunk_indices)
            assert config.generate.min_evidence <= len(row.ref_chunks) <= config.generate.max_evidence
            assert row.answer == "; ".join(row.terms)
            assert without_blanks(row.question)[1] == len(row.terms)
            for term, quote, chunk in zip(row.terms, row.quotes, row.quote_chunks, strict=True):
                assert term in quote
                assert quote in texts[row.doc_id, chunk]
        made += len(rows)
    assert made > 5


def test_candidates_depend_on_the_seed_and_the_document_alone(chunked):
    n = len(chunked[2])
    one, other = list(range(0, n, 2)), list(range(1, n, 2))
    both = generated(chunked, [one, other]).rows
    assert both
    assert both == generated(chunked, [one, other]).rows
    others = [generated(chunked, [one, other], seed=seed).rows for seed in (1, 2)]
    assert [c.question for c in others[0]] != [c.question for c in both] != [c.question for c in others[1]]


def test_no_sentence_is_asked_about_twice_in_a_document(chunked):
    everything = list(range(len(chunked[2])))
    rows = generated(chunked, [everything, everything[1:], everything[2:]]).rows
    quotes = [quote for row in rows for quote in row.quotes]
    assert len(rows) > 1
    assert len(set(quotes)) == len(quotes)
    assert len({tuple(row.ref_chunks) for row in rows}) == len(rows)


def test_evidence_is_numbered_as_in_the_document(chunked):
    n = len(chunked[2])
    last = generated(chunked, [list(range(n // 2, n))]).rows
    assert last
    assert min(i for c in last for i in c.ref_chunks) >= n // 2


@pytest.mark.parametrize(("wanted", "fewest", "most"), [(1, 2, 2), (5, 1, 4), (4, 3, 3)])
def test_how_many_and_of_how_much_evidence(chunked, wanted, fewest, most):
    given = {"generate.candidates": wanted, "generate.min_evidence": fewest, "generate.max_evidence": most}
    rows = generated(chunked, [list(range(len(chunked[2])))], **given).rows
    assert len(rows) == wanted
    assert [c.sample for c in rows] == list(range(wanted))
    assert all(fewest <= len(c.ref_chunks) <= most for c in rows)
    assert len({tuple(sorted(c.quotes)) for c in rows}) == wanted


def test_a_cluster_that_gives_no_question_says_why(chunked):
    output = generated(chunked, [[0, 1], [3, 4]], **{"generate.min_evidence": 4})
    assert output.rows == []
    assert [(d.unit, d.status, d.reason) for d in output.dropped] == [
        ("cluster", "rejected", "too few sentences with a distinctive term")
    ] * 2
    assert {d.row_id for d in output.dropped} == {f"{chunked[2][0].doc_id}/c{i}" for i in (0, 3)}


def test_no_clusters_give_no_candidates(chunked):
    assert generated(chunked, []) == generate.Output([])


def test_the_prompt_counts_by_what_it_says():
    digest = prompts.load("cloze").digest
    found = generate.fingerprints(configs.Config(), Run("unused"))
    releases = {"icu4py's release": version("icu4py"), "wordfreq's release": version("wordfreq")}
    assert found == {"prompt cloze": digest, "version of the task": task.TASK.version} | releases
