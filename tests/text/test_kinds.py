"""The table of kinds, and what first bytes say against it."""

import gzip
import io
import struct
import time

import pytest

from datagen.config.data import InputConfig
from datagen.text import folders, kinds, sniff
from datagen.text.files import File, PassedOver


def test_an_extension_is_of_one_kind():
    tables = [kinds.DATA, kinds.TEXTS, kinds.EXTRACTED, kinds.UNREADABLE, kinds.COMPRESSIONS]
    names = [extension for table in tables for extension in table]
    assert len(names) == len(set(names))
    assert all(name.startswith(".") and name == name.lower() for name in names)
    assert set(kinds.EXTRACTED.values()) == kinds.NEEDS.keys()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a/b.PY", "python"),
        ("x.tar.gz", None),
        ("x.tex.gz", "latex"),
        ("Makefile", "makefile"),
        ("Dockerfile", "dockerfile"),
        ("README", None),
        ("a.pdf", "pdf"),
        ("a.md", "markdown"),
    ],
)
def test_the_kind_of_a_name(name, kind):
    assert kinds.of_name(name) == kind


def test_what_helps_is_a_command_that_can_be_pasted():
    assert kinds.help_for("papers/my letter.doc") == "soffice --headless --convert-to docx 'my letter.doc'"
    assert kinds.help_for("a.mobi") == "ebook-convert a.mobi a.epub"
    assert kinds.help_for("a.xyz") is None


@pytest.mark.parametrize(
    ("name", "raw", "how"),
    [
        ("a.txt", b"%PDF-1.7\n", "pdf"),
        ("a.txt", b"It speaks of %PDF-1.7 only.", "text"),
        ("a.json", b"PAR1\0\0", "parquet"),
        ("a.pdf", b"<!DOCTYPE html><p>Not found", "html"),
        ("a.txt", b"<!DOCTYPE html><p>As it is", "text"),
        ("a.html", b"<!DOCTYPE html><p>A page", "html"),
        ("page", b"<?xml version='1.0'?>\n<html xmlns='x'>", "html"),
        ("NOTES", "Zürich, ein Brief. Der Dampfer fährt täglich über den See.\n".encode() * 3, "text"),
        ("a.txt", b"GIF89a\0", "foreign"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "docx"),
        ("a.py", b"PK\x03\x04 and no more", "foreign"),
        ("a.txt", gzip.compress(b"%PDF-1.7\n", mtime=0), "pdf"),
        ("a.jsonl", b"{\n", "jsonl"),
        ("notes 1.2", b"Words.", "text"),
    ],
)
def test_first_bytes_decide_where_they_are_sure(tmp_path, name, raw, how):
    (tmp_path / name).write_bytes(raw)
    found = folders.classified(str(tmp_path / name), name, InputConfig())
    assert isinstance(found, File)
    assert found.kind == how


@pytest.mark.parametrize(
    ("before", "how"),
    [(b"<!--x-->", "html"), (b"<!---->\n", "html"), (b"<?xml a>", "html"), (b" \n", "html"), (b"<!--", None)],
)
def test_a_page_may_begin_with_any_number_of_comments(before, how):
    """Read with steps that can be taken back, forty comments took for ever."""
    most = before * (sniff.HEAD // len(before) - 10)
    assert sniff.sniff(io.BytesIO(most + b"<HTML lang=en>"), None).how == how
    assert sniff.sniff(io.BytesIO(most + b"<p>A part of a page."), None).how is None


def test_an_archive_of_a_million_names_is_not_gone_through(tmp_path):
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", *[0] * 9, 1, *[0] * 6) + b"x"
    directory = entry * 1_000_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(directory), 4, 0)
    (tmp_path / "a.docx").write_bytes(b"PK\3\4" + directory + end)
    start = time.process_time()
    found = folders.classified(str(tmp_path / "a.docx"), "a.docx", InputConfig())
    assert time.process_time() - start < 1
    assert isinstance(found, File)
    assert (found.kind, found.what) == ("foreign", "a zip archive")


@pytest.mark.parametrize(
    ("name", "raw", "extension"),
    [
        ("picture", b"\xff\xd8\xff\xe0", ".jpg"),
        ("data", b"\0\1", ""),
        ("a.odt", b"PK", ".odt"),
        ("a.xyz", b"Words.", ""),
    ],
)
def test_what_is_passed_over(tmp_path, name, raw, extension):
    (tmp_path / name).write_bytes(raw)
    found = folders.classified(str(tmp_path / name), name, InputConfig())
    assert isinstance(found, PassedOver)
    assert found.extension == extension


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "utf-32", "gb18030", "big5", "shift_jis"])
@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("end", ["", "\n"])
def test_text_is_told_where_its_beginning_ends_inside_of_a_character(codec, shift, end):
    lines = {"gb18030": "中文没有空格的一行文字，", "shift_jis": "これは日本語の文章です。空白のない一行が続く。"}
    line = lines.get(codec, "中文沒有空格的一行文字，")
    raw = ("x" * shift + (line + end) * 6000).encode(codec)
    assert len(raw) > sniff.LOOKED_AT
    assert sniff.is_text(io.BytesIO(raw))


def test_the_encoding_that_is_given_tells_text(tmp_path):
    raw = "Zażółć gęślą jaźń".encode("cp1250")
    assert not sniff.is_text(io.BytesIO(raw))
    (tmp_path / "NOTES").write_bytes(raw)
    (tmp_path / "DATA").write_bytes(b"\0\1" + raw)
    for one in (False, True):
        given = InputConfig(encoding="cp1250", folder_is_document=one)
        [found] = folders.files(str(tmp_path), given)[0]
        assert [part.name for part in found.parts or (found,)] == ["NOTES"]


def test_text_is_told_by_its_beginning():
    assert sniff.is_text(io.BytesIO(("ж" * 99 + "\n").encode() * 1000))
    assert sniff.is_text(io.BytesIO("Über".encode("utf-16")))
    assert not sniff.is_text(io.BytesIO(b"\x7fELF\0\0"))
    assert not sniff.is_text(io.BytesIO(b"a\x01b"))
