"""Which chunks of documents are no part of what those are about: what stands around a text, and what stands elsewhere.

A question about such a chunk would be about a licence, about page numbers, or have its answer in several places. What
is flagged, by reason: Project Gutenberg's header and footer, by their markers; licences, by the formulas that they
consist of (`licences`); notices of copyright; contents, indexes, bibliographies and navigation, by their shape
(`listings`); what repeats other chunks of the document, or stands in other documents, too (`repeats`). A doubtful chunk
is not flagged: prose about a licence, a table, a poem are text.

A task may leave out more: `tasks.cloze.boilerplate` looks at single sentences.

"Other documents" are those that are given. In the pipeline they are the documents of a shard, of which `chunk` fixes
the members once, so that the flags depend on nothing but the input and its settings; a footer that stands once a shard
is not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from datagen.text import licences, listings, repeats

FRAME = "Project Gutenberg's header or footer"
LICENCE = "a licence"
NOTICE = "a notice of copyright"
REPEATED = "it repeats another chunk"
ELSEWHERE = "it stands in another document, too"
LISTED = {
    "contents": "a table of contents",
    "index": "an index",
    "bibliography": "a bibliography",
    "navigation": "navigation",
}
MOST_HEADER = 12_000  # characters before Project Gutenberg's marker that can be its header: the old ones are long
MOST_FOOTER = 40_000  # and after it; the licence has 19,000


def flags(texts_by_document: Mapping[str, Sequence[str]]) -> dict[str, dict[int, str]]:
    """The chunks that are boilerplate, of documents given as the texts of their chunks in order.

    By document id, for every document in the order given: the numbers of such chunks, ascending, each with the reason,
    a phrase for a person. What the order decides: of two editions of one text, the first keeps what they share.
    Takes linear time, but for a sort.
    """
    documents = list(texts_by_document.values())
    repeated, shared = repeats.within(documents), repeats.across(documents)
    found: dict[str, dict[int, str]] = {}
    for doc_id, texts, again, elsewhere in zip(texts_by_document, documents, repeated, shared, strict=True):
        reasons = dict.fromkeys(elsewhere, ELSEWHERE) | dict.fromkeys(again, REPEATED)
        reasons |= {i: reason for i, text in enumerate(texts) if (reason := reason_of(text))}
        reasons |= dict.fromkeys(licences.licences(texts), LICENCE)
        reasons |= dict.fromkeys(framed(texts), FRAME)
        found[doc_id] = dict(sorted(reasons.items()))
    return found


def reason_of(text: str) -> str | None:
    """Why a chunk is boilerplate by what it says or how it looks, wherever it stands; None where it is not."""
    if licences.is_frame(text):
        return FRAME
    if licences.is_notice(text):
        return NOTICE
    shape = listings.shape_of(text)
    return LISTED[shape] if shape else None


def framed(texts: Sequence[str]) -> list[int]:
    """The chunks before, with and after Project Gutenberg's markers: `*** START OF …`, `*** END OF …`."""
    found: set[int] = set()
    since: int | None = None  # characters since the last END
    header, size = [], 0  # chunks since the last marker, and before them characters
    for i, text in enumerate(texts):
        start, end = licences.START.search(text), licences.END.search(text)
        if start or end:
            found.add(i)
        if start and (since is not None or size + start.start() <= MOST_HEADER):
            found.update(header)
        if start or end:
            header, size = [], MOST_HEADER + 1  # a second book's header comes after an END
            since = 0 if end and not (start and start.start() > end.start()) else None
        elif since is not None:
            if since <= MOST_FOOTER:
                found.add(i)
            since += len(text)
        else:
            header.append(i)
            size += len(text)
    return sorted(found)
