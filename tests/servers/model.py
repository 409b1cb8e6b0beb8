"""A language model for tests: it answers from its prompt alone, so that what became of an answer can be checked."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

_PAIRS = sorted((Path(__file__).parents[2] / "prompts").glob("grader-pairs*.json"))
TAGS = {  # and their names in a pair
    "question": "question",
    "reference_answer": "answer",
    "other_answer": "given",
    "evidence": "evidence",  # in some
}
PAIRS = {
    tuple(pair.get(name, "") for name in TAGS.values()): pair["same"]
    for file in _PAIRS
    for pairs in json.loads(file.read_text(encoding="utf-8")).values()
    for pair in pairs
}
OPENING = re.compile(r"<CHUNK_(\d+)>")
WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
LED_TO = re.compile(r"“([^”]*)”")
RATINGS = (10, 9, 9, 8, 8, 8, 10, 9, 8, 10, 9, 8, 7, 5, 2, 0)  # drawn from
ENOUGH = 6  # distinctive words to choose from
LEAD = 5  # words before an answer that lead to it


def reply(request: dict[str, Any]) -> str:
    """What the model says to the body of a chat completions request: the same to the same, whoever asks."""
    messages = request["messages"]
    texts = [_text(message.get("content")) for message in messages]
    schema = ((request.get("response_format") or {}).get("json_schema") or {}).get("schema") or {}
    properties = schema.get("properties") or {}
    everything = "\n".join(texts)
    draw = int(hashlib.sha256(f"{everything}\0{request.get('seed')}".encode("utf-8", "replace")).hexdigest()[:16], 16)
    if "rating" in properties or (not properties and '"rating"' in everything):
        return json.dumps(_filled(properties) | rating(draw))
    shown = next((found for text in reversed(texts) if (found := chunks(text))), {})
    if {"question", "answer", "evidence"} <= properties.keys() or (not properties and _asks_in_words(everything)):
        return json.dumps(_filled(properties) | question(shown, draw), ensure_ascii=False)
    if "answerable" in properties or (not properties and '"answerable"' in everything):
        found = answer(shown, everything)
        given = {"answerable": found is not None, "answer": found[0] if found else ""}
        return json.dumps(_filled(properties) | given, ensure_ascii=False)
    if "<useful_chunks>" in everything:
        text, cited = answer(shown, everything) or ("unknown", [])
        tags = " ".join(f"<CHUNK_{i}>" for i in cited)
        return f"So.\n<useful_chunks>\n{tags}\n</useful_chunks>\n<answer>\n{text}\n</answer>"
    if "same" in properties:
        return json.dumps(_filled(properties) | {"same": grade(everything)})
    return json.dumps(_filled(properties)) if properties else "OK"


def rating(draw: int) -> dict[str, Any]:
    value = RATINGS[draw % len(RATINGS)]
    return {"rating": value, "reason": f"It deserves {value} of 10."}


def grade(asked: str) -> bool:
    """Whether two answers say the same: it knows that of the pairs by which graders are tried out, and of no others."""
    return PAIRS.get(tuple(_last_within(asked, tag) for tag in TAGS), False)


def _last_within(text: str, tag: str) -> str:
    """What stands between a tag and its end, the last time; nothing where it does not stand there."""
    _, found, rest = text.rpartition(f"<{tag}>")
    return rest.partition(f"</{tag}>")[0].strip() if found else ""


def question(shown: dict[int, str], draw: int) -> dict[str, Any]:
    """Two or three of the chunks, a word out of each as the answer, asked for by the words that lead to it."""
    ids = sorted(shown)
    wanted = min(len(ids), 2 + draw % 2)
    evidence = sorted({ids[(draw // 7 + i * max(1, len(ids) // max(1, wanted))) % len(ids)] for i in range(wanted)})
    answers, leads = [], []
    for number, i in enumerate(evidence):
        others = [text for j, text in shown.items() if j != i]
        found, lead = _distinctive(shown[i], others, draw >> number)
        answers.append(found)
        leads.append(lead)
    asked = " and ".join(f"“{words}”" for words in leads)
    return {"question": f"Which words come after {asked}?", "answer": "; ".join(answers), "evidence": evidence}


def answer(shown: dict[int, str], asked: str) -> tuple[str, list[int]] | None:
    """(the words that the question asks for, the chunks that they stand in), or None if one is not there."""
    said = re.search(r"Which words come after (“.*”)\?", asked)
    found, cited = [], []
    for lead in LED_TO.findall(said[1]) if said else []:
        for i, text in shown.items():
            words = WORD.findall(text)
            if (at := _place(words, lead.split())) is not None:
                found.append(words[at])
                cited.append(i)
                break
        else:
            return None
    return ("; ".join(found), sorted(set(cited))) if found else None


def _place(words: list[str], lead: list[str]) -> int | None:
    """Where in a text the word after these words is."""
    ends = (i + len(lead) for i in range(len(words) - len(lead)) if words[i : i + len(lead)] == lead)
    return next(ends, None)


def chunks(text: str) -> dict[int, str]:
    """The chunks that a prompt shows, by the number in their tags."""
    found = {}
    for tag in OPENING.finditer(text):
        end = text.find(f"</CHUNK_{tag[1]}>", tag.end())
        if end >= 0:
            found[int(tag[1])] = text[tag.end() : end]
    return found


def _distinctive(text: str, others: list[str], draw: int) -> tuple[str, str]:
    """(a name or number that no other chunk has, if there is one; the words that lead to it)."""
    every = list(WORD.finditer(text))
    words = [m for m in every[1:] if _is_name(text, m)] or every[1:]
    if not words:
        return "nothing", ""
    start = draw % len(words)
    turned = (words[start:] + words[:start])[: 4 * ENOUGH]
    best = next((m for m in turned if not any(m[0] in other for other in others)), turned[0])
    at = every.index(best)
    return best[0], " ".join(m[0] for m in every[max(0, at - LEAD) : at])


def _is_name(text: str, word: re.Match[str]) -> bool:
    """A number, or capitalised where no sentence begins."""
    if word[0][0].isdigit():
        return len(word[0]) > 1
    return len(word[0]) > 2 and word[0][0].isupper() and text[max(0, word.start() - 2) : word.start()][:1].isalpha()


def _asks_in_words(text: str) -> bool:
    lowered = text.lower()
    return "question" in lowered and "json" in lowered


def _filled(properties: dict[str, Any]) -> dict[str, Any]:
    """Something of the right type for every property of a schema."""
    empty: dict[str, Any] = {"string": "…", "integer": 0, "number": 0.0, "boolean": False, "array": [], "object": {}}
    return {
        name: schema["enum"][0] if schema.get("enum") else empty.get(str(schema.get("type")), "…")
        for name, schema in properties.items()
    }


def _text(content: Any) -> str:
    """Content is a text, or a list of parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""
