"""Files of all kinds through the process that reads them, and files that end it."""

import gzip
import json
import re
import sys
from contextlib import closing

import pytest

from datagen.config.data import InputConfig
from datagen.errors import InputError, MissingExtra, UserError
from datagen.records import Document, Dropped
from datagen.text import documents, sources
from datagen.text.decode import BadDocument
from datagen.text.files import File
from datagen.text.formats import reader
from datagen.text.formats.reader import Reader, Readers
from tests.text.formats import making

MB = 1_000_000
CRASH = (
    "import ctypes, sys; print('ready', flush=True); sys.stdin.readline(); "
    "print('a bad font', file=sys.stderr, flush=True); ctypes.string_at(0)"
)
PDF = making.pdf([making.lines(["Of a PDF."]), making.lines(["And its second page."])], title="Paper")
NOTEBOOK = json.dumps(
    {
        "cells": [
            {"cell_type": "markdown", "source": ["# Of a\n", "notebook"]},
            {"cell_type": "code", "source": "print(1)\n", "outputs": [{"text": "1"}]},
        ],
        "metadata": {"language_info": {"name": "python"}},
    }
)


def rows(folder, **settings) -> tuple[dict[str, Document], dict[str, Dropped]]:
    given = InputConfig(**settings)
    found = list(documents.read(sources.find(str(folder), given)[0], given))
    good = {row.doc_id: row for row in found if isinstance(row, Document)}
    return good, {row.row_id: row for row in found if isinstance(row, Dropped)}


def folder_of_everything(folder) -> None:
    files = {
        "a.pdf": PDF,
        "b.docx": making.docx(making.paragraph("Of a DOCX.")),
        "c.epub": making.epub({"a": "<p>Of an EPUB.</p>"}),
        "d.html": b"<h1>Of</h1><p>a page.",
        "e.ipynb": NOTEBOOK.encode(),
        "f.py": b"def f():\n    return 1\n",
        "g.tex": b"\\section{Of LaTeX}",
        "h.srt": b"1\n00:00:01,000 --> 00:00:02,000\nOf subtitles.\n",
        "i.csv": b"a,b\r\n1,2\r\n",
        "j.pdf.gz": gzip.compress(PDF, mtime=0),
        "README": b"Of a readme.",
        "called-text.txt": PDF,
        "called-pdf.pdf": making.epub({"a": "<p>Of another EPUB.</p>"}),
        "packed.txt": gzip.compress(b"Of packed text.", mtime=0),
        "k.jsonl": b'{"id": "row", "text": "Of a row.", "pages": [[1, 0]]}\n',
        "picture.txt": b"\x89PNG\r\n\x1a\n\0\0",
        "torn.pdf": PDF[:300],
        "locked.pdf": making.pdf([making.lines(["No."])], encrypted=True),
        "scan.pdf": making.pdf([[]], image=True),
        "archive.txt": making.packed({"a.txt": "x"}),
        "old.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "data": b"\0\1\2",
        "Thumbs.db": b"\0",
        "~$b.docx": b"x",
    }
    for name, raw in files.items():
        (folder / name).write_bytes(raw)


def test_a_folder_of_everything(tmp_path):
    folder_of_everything(tmp_path)
    good, bad = rows(tmp_path)
    assert {name: (row.text, json.loads(row.metadata).get("kind")) for name, row in good.items()} == {
        "README": ("Of a readme.", None),
        "a.pdf": ("Of a PDF.\n\nAnd its second page.", "pdf"),
        "b.docx": ("Of a DOCX.", "docx"),
        "c.epub": ("Of an EPUB.", "epub"),
        "called-pdf.pdf": ("Of another EPUB.", "epub"),
        "called-text.txt": ("Of a PDF.\n\nAnd its second page.", "pdf"),
        "d.html": ("Of\n\na page.", "html"),
        "e.ipynb": ("# Of a\nnotebook\n\nprint(1)", "notebook"),
        "f.py": ("def f():\n    return 1\n", "python"),
        "g.tex": ("\\section{Of LaTeX}", "latex"),
        "h.srt": ("1\n00:00:01,000 --> 00:00:02,000\nOf subtitles.\n", "subtitles"),
        "i.csv": ("a,b\n1,2\n", "csv"),
        "j.pdf.gz": ("Of a PDF.\n\nAnd its second page.", "pdf"),
        "packed.txt": ("Of packed text.", None),
        "row": ("Of a row.", None),
    }
    known = json.loads(good["a.pdf"].metadata)
    assert known["pages"] == [[1, 0], [2, 11]]
    assert (known["title"], known["extractor"].split()[0]) == ("Paper", "pypdfium2")
    assert {name: row.reason for name, row in bad.items()} == {
        "archive.txt": "unusable file",
        "locked.pdf": "encrypted",
        "picture.txt": "unusable file",
        "scan.pdf": "scanned",
        "torn.pdf": "damaged file",
    }
    assert bad["picture.txt"].detail.startswith("picture.txt: it is a PNG image, whatever its name says: img2pdf ")
    _, passed = sources.find(str(tmp_path))
    assert [(each.name, each.extension) for each in passed] == [
        ("Thumbs.db", ""),
        ("data", ""),
        ("old.doc", ".doc"),
        ("~$b.docx", ""),
    ]
    assert rows(tmp_path) == (good, bad)


def test_a_file_that_ends_the_process_is_set_aside_and_the_next_is_read(tmp_path):
    (tmp_path / "a.pdf").write_bytes(PDF)
    file = File(str(tmp_path / "a.pdf"), "a.pdf", "pdf", None)
    with closing(Reader(command=(sys.executable, "-c", CRASH))) as crashing:
        for _ in range(2):
            with pytest.raises(BadDocument, match=r"ended over it, by signal SIGSEGV: .* \(a bad font\)") as e:
                crashing.read(file, MB)
        assert e.value.reason == "reader crashed"
        crashing.command = reader.COMMAND
        assert crashing.read(file, MB)[0].startswith("Of a PDF.")


def test_a_process_that_does_not_start_is_no_fault_of_the_files(tmp_path):
    (tmp_path / "a.pdf").write_bytes(PDF)
    file = File(str(tmp_path / "a.pdf"), "a.pdf", "pdf", None)
    with closing(Reader(command=(sys.executable, "-c", "import no_such_library"))) as broken:
        for _ in range(2):
            with pytest.raises(UserError, match=r"does not start; it ended by exit code 1 .*no_such_library") as e:
                broken.read(file, MB)
        assert "pip install --force-reinstall 'longrlvr-data[documents]'" in str(e.value)
        broken.command = reader.COMMAND
        assert broken.read(file, MB)[0].startswith("Of a PDF.")


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("from selectolax import no_such_part", "selectolax is installed, and cannot be imported: ImportError: cannot"),
        ("raise OSError('libc.so: wrong ELF class')", "imported: OSError: libc.so: wrong ELF class"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "does not start; it ended by signal SIGKILL"),
    ],
)
def test_a_library_that_cannot_be_imported_ends_the_run_before_anything_is_read(tmp_path, monkeypatch, broken, says):
    (tmp_path / "lib" / "selectolax").mkdir(parents=True)
    (tmp_path / "lib" / "selectolax" / "__init__.py").write_text("")
    (tmp_path / "lib" / "selectolax" / "lexbor.py").write_text(broken)
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("Words.")
    files, _ = sources.find(str(tmp_path / "in"))
    assert len(list(documents.read(files, InputConfig()))) == 1  # without a page, it does not matter
    for name in ("b.html", "c.html"):
        (tmp_path / "in" / name).write_text("<p>A page.")
    files, _ = sources.find(str(tmp_path / "in"))
    with pytest.raises(UserError, match=re.escape(says)) as e:
        next(iter(documents.read(files, InputConfig())))
    assert str(e.value).endswith("pip install --force-reinstall 'longrlvr-data[documents]'")


def test_a_file_that_takes_for_ever_is_set_aside(tmp_path):
    """lexbor takes minutes over two hundred thousand open elements."""
    (tmp_path / "a.html").write_text("<div>" * 200_000 + "x")
    (tmp_path / "b.html").write_text("<p>Fine.")
    with closing(Reader(seconds=2)) as slow:
        with pytest.raises(BadDocument, match="over 2 s of processor time") as e:
            slow.read(File(str(tmp_path / "a.html"), "a.html", "html", None), MB * 10)
        assert e.value.reason == "too slow"
        assert slow.read(File(str(tmp_path / "b.html"), "b.html", "html", None), MB)[0] == "Fine."


def test_many_are_read_ahead_in_their_order(tmp_path):
    for n in range(40):
        (tmp_path / f"{n:02}.html").write_text(f"<p>Page {n}." * (1 + 300 * (n % 7 == 0)))
    files, _ = sources.find(str(tmp_path))
    for cores in (1, 3):
        with closing(Readers(files, MB, cores)) as readers:
            assert [readers.read(file)[0].split("\n")[0] for file in files] == [f"Page {n}." for n in range(40)]
    with closing(Readers(files, MB, 2)) as readers:  # whoever asks may leave some out, or stop
        assert readers.read(files[5])[0] == "Page 5."
        assert readers.read(files[9])[0] == "Page 9."
    good, _ = rows(tmp_path, limit=3)
    assert list(good) == ["00.html", "01.html", "02.html"]


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    for module in ("pypdfium2", "mammoth", "selectolax"):
        monkeypatch.setitem(sys.modules, module, None)
    folder_of_everything(tmp_path)
    good, _ = rows(tmp_path)
    assert {"f.py", "e.ipynb", "README"} <= good.keys()
    assert "a.pdf" not in good
    _, passed = sources.find(str(tmp_path))
    found = {each.name: (each.extension, each.help) for each in passed}
    assert found["a.pdf"] == (".pdf", "pip install 'longrlvr-data[documents]'")
    assert found["called-text.txt"] == (".pdf", "pip install 'longrlvr-data[documents]'")
    with pytest.raises(MissingExtra, match=r"needs pypdfium2: pip install 'longrlvr-data\[documents\]'"):
        sources.find(str(tmp_path / "a.pdf"))


def test_the_limit_holds_for_what_is_unpacked(tmp_path):
    (tmp_path / "a.html.gz").write_bytes(gzip.compress(b"<p>" + b" " * 3 * MB, mtime=0))
    (tmp_path / "b.txt").write_text("x")
    _, bad = rows(tmp_path, max_document_mb=2)
    assert bad["a.html.gz"].reason == "too large"


def test_the_encoding_that_is_given_is_that_of_texts_and_pages_and_of_no_format_that_has_its_own(tmp_path):
    words = "Zażółć gęślą jaźń"
    for name in ("a.txt", "b.html", "c.csv", "d.srt", "e.tex", "f.html.gz", "g.py"):
        raw = (f"<p>{words}" if "html" in name else words).encode("cp1250")
        (tmp_path / name).write_bytes(gzip.compress(raw, mtime=0) if name.endswith(".gz") else raw)
    (tmp_path / "h.epub").write_bytes(making.epub({"a": f"<p>{words}"}))
    (tmp_path / "i.docx").write_bytes(making.docx(making.paragraph(words)))
    (tmp_path / "j.ipynb").write_text(json.dumps({"cells": [{"source": words}]}, ensure_ascii=False), encoding="utf-8")
    (tmp_path / "k.jsonl").write_text(json.dumps({"id": "k", "text": words}, ensure_ascii=False), encoding="utf-8")
    good, bad = rows(tmp_path, encoding="cp1250")
    assert (len(good), bad) == (11, {})
    assert {row.text for row in good.values()} == {words}


def test_only_some_extensions_are_read_and_unknown_ones_are_text(tmp_path):
    for name in ("a.py", "b.PY.gz", "c.md", "d.xyz", "README"):
        (tmp_path / name).write_bytes(gzip.compress(b"x", mtime=0) if name.endswith(".gz") else b"x")
    good, _ = rows(tmp_path, extensions=("py", ".XYZ"))
    assert list(good) == ["a.py", "b.PY.gz", "d.xyz"]
    with pytest.raises(InputError, match=r"input\.extensions has \.none"):
        sources.find(str(tmp_path), InputConfig(extensions=("none",)))


def test_a_folder_is_one_document(tmp_path):
    home = tmp_path / "project"
    files = {
        "src/main.py": b"print(1)\n",
        "README.md": b"# Project\n",
        "data.json": b'{"a": 1}',
        "Makefile": b"all:\n",
        "paper.pdf": PDF,
        "node_modules/x/index.js": b"x",
        "package-lock.json": b"{}",
        "src/app.min.js": b"x",
        "logo.png": b"\x89PNG\r\n\x1a\n",
        "tool.bin": b"\0\1",
        ".git/config": b"x",
    }
    for name, raw in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(raw)
    good, bad = rows(home, folder_is_document=True)
    assert bad == {}
    document = good["project"]
    parts = ["Makefile", "README.md", "data.json", "paper.pdf", "src/main.py"]
    assert [line for line in document.text.splitlines() if line.startswith("=====")] == [
        f"===== {p} =====" for p in parts
    ]
    assert "===== src/main.py =====\n\nprint(1)" in document.text
    assert "Of a PDF." in document.text
    known = json.loads(document.metadata)
    assert [title for _, _, title in known["headings"]] == parts
    assert known["headings"][-1][0] <= document.text.index("print(1)")
    assert known["left_out"] == {"binary": 2, "generated": 2, "vendored or built": 1}
    before = sources.fingerprint(sources.find(str(home), InputConfig(folder_is_document=True))[0], {})
    (home / "src" / "main.py").write_bytes(b"print(2)\n")
    assert sources.fingerprint(sources.find(str(home), InputConfig(folder_is_document=True))[0], {}) != before
