"""Tiny benchmarks in their own formats, made here."""

import json
import random
from pathlib import Path
from typing import Any

WORDS = ["amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jetty", "knoll", "lagoon"]
WORDS += ["marsh", "north", "ocean", "pine", "quarry", "reef"]


def prose(seed: Any, sentences: int) -> str:
    """Sentences of words drawn at random."""
    rng = random.Random(str(seed))
    return " ".join(" ".join(rng.choices(WORDS, k=9)).capitalize() + "." for _ in range(sentences))


def write(path: Path, rows: Any, lines: bool = False) -> Path:
    """Rows as one array of JSON, or a line each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(map(json.dumps, rows)) + "\n" if lines else json.dumps(rows)
    path.write_text(text, encoding="utf-8")
    return path


def longbench_row(i: int, context: str | None = None) -> dict[str, Any]:
    return {
        "_id": f"id-{i}",
        "domain": "Single-Document QA",
        "sub_domain": "Academic",
        "difficulty": "hard" if i % 2 else "easy",
        "length": "short",
        "question": f"Where does the heron of tale {i} live?",
        **{f"choice_{letter}": f"In the {word}" for letter, word in zip("ABCD", WORDS[i % 8 :], strict=False)},
        "answer": "ABCD"[i % 4],
        "context": context or prose(i, 40),
    }


def longbench(path: Path, n: int) -> Path:
    return write(path, [longbench_row(i) for i in range(n)])


def squad(path: Path, articles: int = 4, paragraphs: int = 10, sentences: int = 4) -> Path:
    """A file like SQuAD v2.0: of each paragraph, a question with an answer twice, and one without."""
    data = []
    for a in range(articles):
        blocks = []
        for p in range(paragraphs):
            name = f"Brin{a}x{p}"
            time = f"{a + 3}:{p:02d}"
            context = f"{prose((a, p), 2)} The ferry of {name} leaves at {time}. {prose((p, a), sentences)}"
            answer = {"text": time, "answer_start": context.index(time)}
            asked = {"id": f"q{a}-{p}", "question": f"When does the ferry of {name} leave?", "answers": [answer] * 2}
            unanswerable = {"id": f"u{a}-{p}", "question": "Who steers it?", "answers": [], "is_impossible": True}
            blocks.append({"context": context, "qas": [asked | {"is_impossible": False}, unanswerable]})
        data.append({"title": f"Article {a}", "paragraphs": blocks})
    return write(path, {"version": "v2.0", "data": data})


def hotpotqa(path: Path, n: int = 8) -> Path:
    """A file like HotpotQA's dev_distractor: the second sentence of two of six paragraphs is the evidence."""
    entries = []
    for q in range(n):
        context = []
        for p in range(6):
            fact = f" The bridge of Kell{q}x{p} was built by Oru{q}{p}." if p in (1, 4) else f" {prose((q, p), 1)}"
            context.append([f"Kell{q}x{p}", [prose((p, q), 2), fact, f" {prose((q, p, 0), 2)}"]])
        facts = [[f"Kell{q}x1", 1], [f"Kell{q}x4", 1]]
        entries.append(
            {
                "_id": f"h{q}",
                "question": f"Who built the bridge of Kell{q}x1?",
                "answer": f"Oru{q}1",
                "type": "bridge",
                "level": "hard",
                "supporting_facts": facts if q else [[f"Kell{q}x1", 9]],  # of the first, there is no such sentence
                "context": context,
            }
        )
    return write(path, entries)
