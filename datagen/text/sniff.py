"""What a file holds by its first bytes, where its name says otherwise, or nothing."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from datagen.text import decode
from datagen.text.kinds import Compression, How

HEAD = 1 << 12  # bytes that tell a kind
LOOKED_AT = 1 << 16  # bytes that tell whether a file is text
DIRECTORY = 1 << 24  # bytes of an archive's directory that is looked at: more than any document's has
COMMENT = 1 << 16  # bytes that may stand behind the record at an archive's end
WIDEST = 4  # bytes of a character, in any encoding
_MAGIC: tuple[tuple[bytes, str, str], ...] = (  # what it begins with, what it is called, an extension that it has
    (b"\x89PNG\r\n\x1a\n", "a PNG image", ".png"),
    (b"\xff\xd8\xff", "a JPEG image", ".jpg"),
    (b"GIF87a", "a GIF image", ".gif"),
    (b"GIF89a", "a GIF image", ".gif"),
    (b"II*\0", "a TIFF image", ".tiff"),
    (b"MM\0*", "a TIFF image", ".tiff"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office file of before 2007, or an encrypted one", ".doc"),
    (b"{\\rtf", "an RTF document", ".rtf"),
    (b"AT&TFORM", "a DjVu document", ".djvu"),
    (b"%!PS", "a PostScript file", ".ps"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", ".7z"),
    (b"Rar!\x1a\x07", "a RAR archive", ".rar"),
    (b"BZh", "a bzip2 file", ".bz2"),
    (b"\xfd7zXZ\0", "an xz file", ".xz"),
    (b"SQLite format 3\0", "an SQLite database", ""),
    (b"\x7fELF", "a program", ""),
    (b"MZ\x90\0", "a program", ""),
    (b"ID3", "a sound file", ""),
    (b"OggS", "a sound or video file", ""),
)
_ZIPPED = (  # what is in a zip archive, and again
    (b"ppt/", "a PowerPoint file", ".pptx"),
    (b"xl/", "an Excel file", ".xlsx"),
    (b"application/vnd.oasis.opendocument.text", "an OpenDocument text", ".odt"),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file", ".ods"),
)
_SPREAD = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{[ \t\r]*\n")  # an object over several lines
_HTML = re.compile(  # no step of which is ever taken back: a hundred comments could be parted in 2^99 ways
    rb"(?>(?:<\?xml[^>]*+>|<!--(?>.*?-->)|\s++)*)(?:<!doctype html|<html[\s>])", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the first bytes say: how the file is read (None: they say nothing; "foreign": it can't be), what it is in
    words, an extension of such files, and the compression that it is packed by, where its name says another.
    """

    how: How | None = None
    what: str = ""
    extension: str = ""
    compression: Compression | None = None


def sniff(stream: BinaryIO, compression: Compression | None) -> Seen:
    """What a file is by its first bytes; the stream stands at its beginning.

    compression: what its name says it is packed by.
    """
    head = stream.read(HEAD)
    packed = _packed(head)
    if packed is None:
        return _seen(head, stream)
    inside = _seen(_unpacked(head, packed), None)
    return Seen(inside.how, inside.what, inside.extension, packed if packed != compression else None)


def _packed(head: bytes) -> Compression | None:
    if head.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    return "zstd" if head.startswith(b"\x28\xb5\x2f\xfd") else None


def _seen(head: bytes, stream: BinaryIO | None) -> Seen:
    if head[:1024].lstrip(b"\xef\xbb\xbf\0\r\n\t ").startswith(b"%PDF-"):
        return Seen("pdf")
    if head.startswith(b"PAR1"):
        return Seen("parquet")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _of_zip(head, stream)
    for magic, what, extension in _MAGIC:
        if head.startswith(magic):
            return Seen("foreign", what, extension)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Seen("foreign", "a WebP image", ".webp")
    if head[257:262] == b"ustar":
        return Seen("foreign", "a tar archive", ".tar")
    if head[60:68] in (b"BOOKMOBI", b"TEXtREAd"):
        return Seen("foreign", "a Mobipocket book", ".mobi")
    if head[4:8] == b"ftyp":
        return Seen("foreign", "a video, sound or HEIC file", "")
    if _SPREAD.match(head):
        return Seen("json")
    return Seen("html") if _HTML.match(head[:4096].removeprefix(b"\xef\xbb\xbf")) else Seen()


def _of_zip(head: bytes, stream: BinaryIO | None) -> Seen:
    """What an archive holds; its directory is looked at, where it can be, and nothing is unpacked."""
    names: list[str] = []
    if stream is not None and _directory_size(stream) <= DIRECTORY:
        try:
            with zipfile.ZipFile(stream) as opened:
                names = opened.namelist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
            names = []
    found = " ".join(names[:10_000]).encode("utf-8", "replace") + head[:4096]
    if b"application/epub+zip" in head[:200] or "META-INF/container.xml" in names:
        return Seen("epub")
    if b"word/" in found and b"[Content_Types].xml" in found:
        return Seen("docx")
    what, extension = next((told for sign, *told in _ZIPPED if sign in found), ("a zip archive", ".zip"))
    return Seen("foreign", what, extension)


def _directory_size(stream: BinaryIO) -> int:
    """The bytes of an archive's directory, by the record at its end; 0 where there is none.

    Source: APPNOTE.TXT, section 4.3.16. Of an archive beyond 4 GB the record says 2^32 - 1.
    """
    end = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, end - COMMENT - 22))
    tail = stream.read(COMMENT + 22)
    record = tail[tail.rfind(b"PK\x05\x06") :] if b"PK\x05\x06" in tail else b""
    return int.from_bytes(record[12:16], "little")


def _unpacked(head: bytes, packed: Compression) -> bytes:
    """The first bytes of what is packed; none where it is damaged."""
    try:
        if packed == "gzip":
            return gzip.GzipFile(fileobj=io.BytesIO(head)).read1(HEAD)
        import pyarrow as pa

        return pa.CompressedInputStream(io.BytesIO(head), "zstd").read(4096)
    except (EOFError, zlib.error, OSError):
        return b""


def is_text(stream: BinaryIO, encoding: str | None = None) -> bool:
    """Whether a file begins with text in an encoding that can be told, or in the one given (a Python codec). The stream
    stands at its beginning.
    """
    head = stream.read(LOOKED_AT)
    cut = len(head) == LOOKED_AT  # maybe inside of a character
    whole = head[: head.rfind(b"\n") + 1] if cut and b"\n" in head else head
    return any(_reads(whole[: len(whole) - n], encoding) for n in range(WIDEST if cut else 1))


def _reads(raw: bytes, encoding: str | None) -> bool:
    try:
        text, _ = decode.decode(raw, encoding)
    except decode.BadDocument:
        return False
    return not re.search("[\x00-\x08\x0e-\x1a\x1c-\x1f]", text)
