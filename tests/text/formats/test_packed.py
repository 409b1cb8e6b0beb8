"""EPUB and DOCX: what they say, in which order, and what is refused."""

import io
import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.text.formats import docx, epub, packed
from datagen.text.formats.extracted import Extracted, Limits, Unreadable
from tests.text.formats import making
from tests.text.formats.making import paragraph

LIMITS = Limits(1_000_000, lambda: None)
LAUGHS = "<!DOCTYPE x [" + "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(12)) + "]>"
DRM = """<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:e="http://www.w3.org/2001/04/xmlenc#">
<e:EncryptedData><e:EncryptionMethod Algorithm="{}"/></e:EncryptedData></encryption>"""


def read(module, tmp_path, raw: bytes, limits: Limits = LIMITS) -> Extracted:
    (tmp_path / "a").write_bytes(raw)
    return module.extract(str(tmp_path / "a"), limits)


def test_a_book_in_the_order_of_its_spine(tmp_path):
    chapters = {"a.xhtml": "<h1>One</h1><p>First<a id='x'/> words.</p>", "b c.xhtml": "<h2>Two</h2><p>Last.</p>"}
    found = read(epub, tmp_path, making.epub(chapters, "Töpfe", ["b c.xhtml", "a.xhtml"]))
    assert found.text == "Two\n\nLast.\n\nOne\n\nFirst words."
    assert found.headings == [(0, 2, "Two"), (12, 1, "One")]
    assert found.title == "Töpfe"
    assert [found.text[at:][: len(title)] for at, _, title in found.headings] == ["Two", "One"]


def test_xhtml_closes_elements_that_html_does_not(tmp_path):
    body = "<script src='x'/><p>Seen &#8212; <![CDATA[a < b]]></p><div/><textarea/><p>And this.</p>"
    assert read(epub, tmp_path, making.epub({"a": body})).text == "Seen — a < b\n\nAnd this."


def test_the_contents_and_chapters_that_are_not_there(tmp_path):
    members = making.epub_members({"nav.xhtml": "<p>Contents</p>", "a.xhtml": "<p>Words.</p>", "gone.xhtml": "x"})
    members["OPS/book.opf"] = str(members["OPS/book.opf"]).replace(
        'href="nav.xhtml"', 'href="nav.xhtml" properties="nav"'
    )
    del members["OPS/gone.xhtml"]
    found = read(epub, tmp_path, making.packed(members))
    assert (found.text, found.more) == ("Words.", {"chapters_missing": 1})


def test_protected_books_are_named_and_hidden_fonts_are_no_protection(tmp_path):
    members = making.epub_members({"a": "<p>Words.</p>"})
    aes = members | {"META-INF/encryption.xml": DRM.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")}
    with pytest.raises(Unreadable, match="DRM") as e:
        read(epub, tmp_path, making.packed(aes))
    assert e.value.reason == "encrypted"
    fonts = members | {"META-INF/encryption.xml": DRM.format("http://www.idpf.org/2008/embedding")}
    assert read(epub, tmp_path, making.packed(fonts)).text == "Words."


def test_a_docx_with_its_headings_lists_and_tables(tmp_path):
    row = "".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in ("A", "B"))
    table = f"<w:tbl><w:tr>{row}</w:tr><w:tr>{row}</w:tr></w:tbl>"
    found = read(docx, tmp_path, making.docx(paragraph("Head", "H1"), paragraph("Words &amp; more."), table))
    assert found.text == "Head\n\nWords & more.\n\nA | B\nA | B"
    assert found.headings == [(0, 1, "Head")]


def test_entities_are_never_expanded(tmp_path):
    bomb = making.packed(making.docx_members(paragraph("&a12;"), LAUGHS))
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
    for raw in (bomb, making.packed(making.docx_members(paragraph("&a;"), outside))):
        with pytest.raises(Unreadable, match="declares entities"):
            read(docx, tmp_path, raw)
    members = making.epub_members({"a": "<p>x</p>"})
    members["OPS/book.opf"] = LAUGHS + str(members["OPS/book.opf"]).split("?>")[1]
    with pytest.raises(Unreadable, match="declares entities"):
        read(epub, tmp_path, making.packed(members))
    wide = (LAUGHS + "<x/>").encode("utf-16")
    with pytest.raises(Unreadable, match="declares entities"):
        packed.check_xml(wide, "x")


def test_what_unpacks_to_too_much_is_not_unpacked(tmp_path):
    blanks = " " * 50_000_000
    book = making.epub({"a": f"<p>{blanks}</p>"})
    assert len(book) < 100_000
    for module, raw in ((epub, book), (docx, making.docx(paragraph(blanks)))):
        with pytest.raises(Unreadable, match=r"input\.max_document_mb") as e:
            read(module, tmp_path, raw)
        assert e.value.reason == "too large"
    many = making.epub({f"c{n}": f"<p>{'x' * 300_000}</p>" for n in range(5)})
    with pytest.raises(Unreadable, match=r"input\.max_document_mb"):
        read(epub, tmp_path, many)


def test_a_member_that_holds_more_than_it_says(tmp_path):
    raw = bytearray(making.epub({"a": f"<p>{'x' * 3_000_000}</p>"}))
    at = raw.rindex(b"OPS/a")
    struct.pack_into("<I", raw, at - 46 + 24, 1000)  # in the directory: its unpacked size
    with pytest.raises(Unreadable) as e:
        read(epub, tmp_path, bytes(raw))
    assert e.value.reason in ("damaged file", "too large")


def test_too_many_members_and_members_with_a_password(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "MOST_MEMBERS", 3)
    with pytest.raises(Unreadable, match="where 3 are the most"):
        read(epub, tmp_path, making.epub({"a": "x"}))
    monkeypatch.undo()
    out = io.BytesIO(making.packed({"word/document.xml": "x"}))
    raw = bytearray(out.getvalue())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # in the directory: it is encrypted
    with pytest.raises(Unreadable) as e:
        read(docx, tmp_path, bytes(raw))
    assert e.value.reason == "encrypted"


def test_a_word_document_with_a_password_or_of_another_format(tmp_path):
    with pytest.raises(Unreadable, match="needs a password"):
        read(docx, tmp_path, docx.COMPOUND + b"\0" * 600 + docx.ENCRYPTED)
    with pytest.raises(Unreadable, match="before 2007"):
        read(docx, tmp_path, docx.COMPOUND + b"\0" * 600)
    with pytest.raises(Unreadable, match="no DOCX"):
        read(docx, tmp_path, making.packed({"a.txt": "x"}))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([epub, docx]), st.binary(max_size=60), st.integers(0, 2500), st.integers(0, 60), st.booleans())
def test_any_bytes_are_a_document_or_a_reason(tmp_path_factory, module, noise, at, length, compress):
    members = (
        making.epub_members({"a": "<p>Words.</p>"}) if module is epub else making.docx_members(paragraph("Words."))
    )
    raw = making.packed(members, compress)
    path = tmp_path_factory.mktemp("any")
    with suppress(Unreadable):
        read(module, path, raw[:at] + noise + raw[at + length :]).text.encode()
