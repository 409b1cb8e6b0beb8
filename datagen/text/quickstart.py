"""The quickstart corpus: the Python language reference that every CPython carries, as a handful of long documents."""

from __future__ import annotations

from pathlib import Path

from datagen.errors import UserError

LONG = 40_000  # characters; about 10,000 tokens


def write_corpus(folder: Path) -> list[Path]:
    """Write the documents into a folder, which is made if it is not there. Raises UserError where Python lacks them."""
    try:
        from pydoc_data.topics import topics
    except ImportError as e:
        raise UserError("this Python was installed without pydoc_data, which holds the quickstart's text") from e
    documents: list[list[str]] = [[]]
    chosen = _without_repeats(topics)
    for name in sorted(chosen):
        if sum(map(len, documents[-1])) >= LONG:
            documents.append([])
        documents[-1].append(chosen[name].strip())
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for i, parts in enumerate(documents, 1):
        file = folder / f"python-reference-{i:02d}.txt"
        file.write_text("\n\n\n".join(parts) + "\n", encoding="utf-8")
        files.append(file)
    return files


def _without_repeats(topics: dict[str, str]) -> dict[str, str]:
    """Leave out a topic that mostly stands within larger ones, as 'for' does in 'compound'."""
    seen: set[str] = set()
    chosen = {}
    for name, text in sorted(topics.items(), key=lambda item: (-len(item[1]), item[0])):
        paragraphs = [p.strip() for p in text.split("\n\n") if len(p.strip()) > 40]
        new = sum(len(p) for p in paragraphs if p not in seen)
        if 2 * new > sum(map(len, paragraphs)):
            chosen[name] = text
            seen.update(paragraphs)
    return chosen
