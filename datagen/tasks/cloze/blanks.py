"""A term and its blank: how a sentence is blanked, what tells which sentence it is, and what gives a term away."""

from __future__ import annotations

import re
from collections.abc import Sequence

from datagen.tasks.cloze.affixes import variants
from datagen.tasks.cloze.boundaries import is_whole, pieces
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.languages import function_words, language
from datagen.tasks.cloze.words import is_unspaced, words

BLANK = "_____"
_PART = 5  # letters: what stands in another word by more than chance
_MOST_OF = 0.75  # of a word's letters: "synchronous" tells "asynchronous"
_ONE_BLANK = re.compile(rf"(?<!_){BLANK}(?!_)")


def without_blanks(question: str) -> tuple[str, int]:
    """The question with its blanks taken out, and how many there were."""
    return _ONE_BLANK.subn(" ", question)


def blanked(shown: str, term: str) -> str | None:
    """The sentence with the term blanked; None if it does not stand there once, as whole words.

    Emphasis marks right around the term go with it: they would run into the blank.
    """
    places = [m.start() for m in re.finditer(re.escape(term), shown)] if term else []
    if not places or BLANK in shown:
        return None
    code = language(shown)
    whole = [at for at in places if is_whole(shown, at, at + len(term), code)]
    if len(whole) != 1:
        return None
    start, end = whole[0], whole[0] + len(term)
    if shown[start - 1 : start] == "_" and shown[end : end + 1] == "_":
        start, end = start - 1, end + 1
    return shown[:start] + BLANK + shown[end:]


def context(blanked_sentence: str, doc: DocumentIndex) -> float:
    """How many words of a blanked sentence tell which sentence it is: all but function words."""
    code = language(blanked_sentence.replace(BLANK, " "))
    grammar = function_words(code)
    if any(map(is_unspaced, blanked_sentence)):
        return len({w for w in pieces(blanked_sentence, code) if len(w) > 1 and w not in grammar})
    return len({w for w in words(blanked_sentence) if len(w) > 1 and w not in doc.common and w not in grammar})


def telling_words(term: str, code: str) -> list[str]:
    """The words of a term that nothing else may show: those with capitals where it has several, else all but letters.

    `code` is the language of its sentence.
    """
    asked = words(term)
    capitals = [w for w in asked if w.capitalize() in term and len(w) > 1] if len(asked) > 1 else []
    grammar = function_words(code)
    return capitals or [w for w in asked if len(w) > 1 and w not in grammar] or [w for w in asked if len(w) > 1]


def given_away(term: str, shown: Sequence[str], code: str = "") -> str | None:
    """A shown word that is a telling word of the term or a variant of one, or the term itself.

    `code` is the language of the term's sentence.
    """
    if f" {' '.join(words(term))} " in f" {' '.join(shown)} ":
        return term
    telling = telling_words(term, code)
    return next((w for w in shown for t in telling if variants(w, t, code) or _holds(w, t)), None)


def _holds(shown: str, telling: str) -> bool:
    """Whether a shown word holds a telling word ("sync_backref", "setFormattingStyle"), or is most of it."""
    if len(telling) < _PART or len(shown) < _PART:
        return len(telling) > 2 and "_" in shown and telling in shown.split("_")
    return telling in shown or (shown in telling and len(shown) >= _MOST_OF * len(telling))
