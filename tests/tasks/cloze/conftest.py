"""A small invented document, and the real ones where they are at hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from datagen.tasks.cloze.compose import Cloze
from datagen.tasks.cloze.document import DocumentIndex

STORY = [
    "The keeper of the lighthouse was a quiet man. He came to the island in the winter of 1871 with a small wooden\n"
    "chest and the promise of a pension. The people of the village said that he was the son of a sailor.\n\n",
    "In the spring a letter came to the island from the city of Bergen, and the keeper read it in the light of the\n"
    "lamp. It was written in the hand of a woman, and the name at the end of it was Ingrid.\n\n",
    "The storm of that year was the worst in the memory of the village. The sea took the boat of the fisherman\n"
    "Halvorsen, and it took the wall of the harbour, and the keeper saw it all from the gallery of the tower.\n\n",
    "After the storm the people of the village came to the keeper, and they asked him for the use of his telescope.\n"
    "He was glad of the company, and he showed them the mountains of the moon and the rings of Saturn.\n\n",
    "It was said in the village that the lamp of the tower had cost the king 4,300 crowns, and that the oil of the\n"
    "lamp came in the barrels of a merchant from the city of Aberdeen. The keeper was proud of it.\n\n",
    "In the end the keeper left the island in the boat of the postman, and he took the chest with him. The woman of\n"
    "the letter was on the quay, and she held the hand of a child in the light of the morning.\n\n",
]


@pytest.fixture(scope="session")
def story() -> DocumentIndex:
    return DocumentIndex.build(STORY)


@pytest.fixture
def good() -> Cloze:
    """A row about the story that every rule passes."""
    return Cloze(
        question=(
            "Which words are missing?\n"
            "1. He came to the island in the winter of _____ with a small wooden chest and the promise of a pension.\n"
            "2. It was written in the hand of a woman, and the name at the end of it was _____."
        ),
        answer="1871; Ingrid",
        ref_chunks=[0, 1],
        terms=["1871", "Ingrid"],
        quotes=[
            "He came to the island in the winter of 1871 with a small wooden\nchest and the promise of a pension.",
            "It was written in the hand of a woman, and the name at the end of it was Ingrid.",
        ],
        quote_chunks=[0, 1],
    )


def cut_at_paragraphs(text: str, size: int = 1000) -> list[str]:
    """Chunks of about `size` characters that join to the text."""
    chunks = [""]
    for paragraph in re.split(r"(?<=\n\n)", text):
        if chunks[-1] and len(chunks[-1]) + len(paragraph) > size:
            chunks.append("")
        chunks[-1] += paragraph
    return chunks


@pytest.fixture(scope="session")
def real_documents() -> dict[str, DocumentIndex]:
    """The CPython language reference, and three books if they lie next to the repository."""
    topics = pytest.importorskip("pydoc_data.topics").topics
    texts = {"reference": "\n\n".join(topics[name] for name in sorted(topics))}
    books = Path(__file__).parents[4] / "shared" / "data" / "books"
    encodings = {
        "dickens-and-music.latin1.txt": "latin-1",
        "entre-nous.fr.txt": "utf-8-sig",
        "news-from-nowhere.txt": "utf-8",
    }
    for name, encoding in encodings.items():
        if (books / name).exists():
            texts[name] = (books / name).read_text(encoding=encoding)
    return {name: DocumentIndex.build(cut_at_paragraphs(text)) for name, text in texts.items()}
