import subprocess
import sys

import pytest

from datagen.text import quickstart

topics = pytest.importorskip("pydoc_data.topics").topics


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return quickstart.write_corpus(tmp_path_factory.mktemp("corpus") / "new" / "folder")


def test_a_handful_of_long_documents(written):
    assert 5 <= len(written) <= 30
    assert [file.name for file in written] == [f"python-reference-{i:02d}.txt" for i in range(1, len(written) + 1)]
    sizes = [len(file.read_text(encoding="utf-8")) for file in written]
    assert min(sizes[:-1]) >= quickstart.LONG
    assert max(sizes) < quickstart.LONG + max(map(len, topics.values())) + 1000


def test_the_same_corpus_every_time(written, tmp_path):
    again = quickstart.write_corpus(tmp_path)
    assert [file.read_bytes() for file in again] == [file.read_bytes() for file in written]
    assert [file.read_bytes() for file in quickstart.write_corpus(tmp_path)] == [file.read_bytes() for file in again]
    assert sorted(tmp_path.iterdir()) == again


def test_every_topic_is_there_and_hardly_a_paragraph_twice(written):
    text = "\n\n".join(file.read_text(encoding="utf-8") for file in written)
    paragraphs = [p.strip() for p in text.split("\n\n") if len(p.strip()) > 40]
    assert len(set(paragraphs)) > 0.9 * len(paragraphs)
    all_paragraphs = {p.strip() for topic in topics.values() for p in topic.split("\n\n") if len(p.strip()) > 40}
    assert len(set(paragraphs)) > 0.95 * len(all_paragraphs)


def test_a_topic_within_a_larger_one_is_left_out():
    paragraphs = [f"Paragraph number {i} of the section, long enough to count." for i in range(9)]
    known = {"whole": "\n\n".join(paragraphs), "part": "\n\n".join(paragraphs[2:5]), "own": "x" * 60, "short": "y"}
    assert set(quickstart._without_repeats(known)) == {"whole", "own"}


def test_a_python_without_its_reference(tmp_path):
    code = f"""if True:
        import sys
        sys.modules["pydoc_data.topics"] = None
        from datagen.cli import app
        app(["quickstart-corpus", {str(tmp_path / "corpus")!r}])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "pydoc_data" in done.stderr
    assert not (tmp_path / "corpus").exists()
