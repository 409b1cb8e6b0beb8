"""Whether a passage is the text of a licence, a notice of copyright, or what Project Gutenberg puts around a book.

A licence is known by the sentences that licences are made of, not by what it is about: prose that tells of licences, or
quotes one, has few of them among many other words. So both are asked for: several such phrases, and many for the
length. The phrases are those that the licences of the SPDX list have in common, in English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# In words of lower case with one space between, without punctuation. These are said by licences alone …
_FORMULAS = re.compile(
    r"permission is hereby granted|permission to use copy modify and or distribute|notice shall be included in all"
    r"|the above copyright notice|above copyright notice and th(?:is|e following)|without warranty of any kind"
    r"|provided as is|provided by the (?:copyright holders?|authors?|regents) (?:and contributors )?as is"
    r"|express(?:ed)? or implied|merchantability|fitness for a particular purpose|non ?infringement"
    r"|in no event (?:shall|will)|liable for any|even if advised of the possibility"
    r"|consequential damages|incidental damages"
    r"|redistributions? (?:of|in) (?:source code|binary form) must|redistribution and use in source and binary forms"
    r"|used to endorse or promote products|specific prior written permission"
    r"|(?:licensed|distributed|released|published) under the (?:terms of|(?:apache|mit) license|gnu|creative commons)"
    r"|you may not use this file except in compliance|may obtain a copy of the license"
    r"|unless required by applicable law|agreed to in writing|limitations under the license"
    r"|free software you can redistribute it|at your option any later version|hope that it will be useful"
    r"|should have received a copy of the|published by the free software foundation"
    r"|subject to the following conditions|provided that the following conditions are met"
    r"|terms and conditions (?:of this|for (?:use|copying))|(?:of|under|by|with|to|in|from) this license"
    r"|this license (?:does|grants?|is|applies|shall|will|may|to)|your rights under"
    r"|(?:hereby )?grants? (?:to )?you a|non exclusive|worldwide royalty free|royalty free|irrevocable"
    r"|sub ?licens(?:e|able|ing)|licensors?|licensees?|covered (?:work|software|code)|corresponding source"
    r"|licensed material|licensed rights|derivative works?|derivative version|patent license|source code form"
    r"|you may (?:copy|convey|distribute|modify|add|not (?:copy|impose|propagate|convey|modify|sublicense))"
    r"|copyright (?:holders?|owners?|and similar rights)|invariant sections?|cover texts?|moral rights"
    r"|all rights reserved|indemnify|disclaimers? of warrant\w+|limitation of liability|affirmer"
    r"|project gutenberg tm|project gutenberg license|project gutenberg literary archive foundation|full refund"
    r"|copies of (?:the program|the document|project gutenberg)|the program or any (?:derivative|work)"
    r"|combined work|application that uses the library|work (?:that uses|based on) the (?:library|program)"
    r"|modified version of the|under the terms of|electronic works?"
)
# … and these by contracts, among which prose about them is, too.
_TERMS = re.compile(
    r"\b(?:licen[cs]e[ds]?|copyright(?:ed)?|warrant(?:y|ies)|liab(?:le|ility)|damages|hereby|herein|thereof|shall"
    r"|you may|you must|your|permi(?:t|ts|tted|ssion)|redistribut\w*|convey\w*|distribut\w*|modif\w*|patent\w*"
    r"|terms?|conditions?|notices?|applicable|provisions?|clause|parties|party|section)\b"
)
# At least so many different formulas, and one for so many words at the most.
_DENSITIES = ((4, 42), (3, 25))
_WORDS_PER_TERM = 11  # one for so many words; a formula counts for two
_WORD = re.compile(r"[^\W_]+")

START = re.compile(
    r"^[ \t]*\*{3}[ \t]*START OF (?:THE|THIS) PROJECT GUTENBERG|^[ \t]*\*END\*?[ \t]*THE SMALL PRINT", re.M
)
END = re.compile(r"^[ \t]*\*{3}[ \t]*END OF (?:THE|THIS) PROJECT GUTENBERG", re.M)
FOOTER = re.compile(r"^End of (?:the )?Project Gutenberg|^(?:\*\*\* ?)?START: FULL LICENSE", re.I | re.M)  # without END
_HEADER = re.compile(
    r"^[ \t]*(?:The )?Project Gutenberg(?:'s|’s)? (?:eBook|EBook|Etext|License)\b|\*END\*?THE SMALL PRINT"
    r"|^[ \t]*\*{0,3}[ \t]*End of (?:the )?Project Gutenberg",
    re.M | re.I,
)
_ABOUT = re.compile(r"gutenberg\.(?:org|net)|project gutenberg|\be-?(?:book|text)s?\b|\blicen[cs]e\b", re.I)
_ADDRESS = re.compile(r"gutenberg\.(?:org|net)/license", re.I)
_NOTICE = re.compile(
    r"copyright(?:\s*(?:©|\(c\)))?\s*\d{4}|(?:©|\(c\))\s*(?:copyright\s*)?\d{4}|all rights reserved|\bIS[BS]N\b"
    r"|alle rechte vorbehalten|tous droits réservés|todos los derechos reservados|tutti i diritti riservati"
    r"|SPDX-License-Identifier",
    re.I,
)
_IMPRINT = re.compile(
    r"library of congress|catalogu?ing[- ]in[- ]publication|\bprinted in (?:the |great )?[A-Z]\w+"
    r"|\b_?first (?:published|printed|\w+ edition|edition)\b|\b_?reprinted\b|(?:th|first|second|third)[_ ]impression\b"
    r"|^\W*(?:terms of (?:use|service)|privacy policy)\W*$",
    re.I,
)
_MOST_NOTICE, _MOST_IMPRINT = 200, 90  # characters of a line: what is longer tells something


def licences(texts: Sequence[str]) -> set[int]:
    """The chunks of a document that are made of the formulas of licences, and those next to them that sound like it.

    texts: of the chunks, in order.
    """
    sounds = [_sounds(text) for text in texts]
    found = {i for i, sound in enumerate(sounds) if sound.is_licence}
    for step, order in ((1, range(len(texts))), (-1, range(len(texts) - 1, -1, -1))):
        found |= _grown(found, sounds, order, step)
    return found


class Sound(NamedTuple):
    """Words of a passage, its formulas, how many of them differ, and words that contracts have."""

    n_words: int
    n_formulas: int
    n_different: int
    n_terms: int

    @property
    def is_licence(self) -> bool:
        """Whether nothing but a licence has so many formulas among its words."""
        dense = any(self.n_different >= n and self.n_formulas * per >= self.n_words for n, per in _DENSITIES)
        return self.n_words >= 25 and dense and self.sounds_like_one

    @property
    def sounds_like_one(self) -> bool:
        """Whether it has the words of one."""
        return (self.n_terms + 2 * self.n_formulas) * _WORDS_PER_TERM >= self.n_words


def _sounds(text: str) -> Sound:
    words = _WORD.findall(text.lower())
    said = " ".join(words)
    formulas = _FORMULAS.findall(said)
    return Sound(len(words), len(formulas), len(set(formulas)), len(_TERMS.findall(said)))


def _grown(found: set[int], sounds: Sequence[Sound], order: Iterable[int], step: int) -> set[int]:
    """What goes on in one direction from these chunks: with a formula in every chunk that is no heading."""
    grown: set[int] = set()
    for i in order:
        sound = sounds[i]
        if i - step in found | grown and sound.sounds_like_one and (sound.n_formulas or sound.n_words < 25):
            grown.add(i)
    return grown


def is_notice(text: str) -> bool:
    """Whether most lines of a passage say who has which right, or where and when it was printed."""
    lines = [line for line in text.split("\n") if line.strip()]
    notices = sum(len(line) <= _MOST_NOTICE and _NOTICE.search(line) is not None for line in lines)
    imprints = sum(len(line) <= _MOST_IMPRINT and _IMPRINT.search(line) is not None for line in lines)
    return (notices > 0 or imprints > 2) and 2 * (notices + imprints) >= len(lines)


def is_frame(text: str) -> bool:
    """Whether a passage holds a line that only Project Gutenberg's header or footer has, or gives the address of its
    licence and is about nothing else: most of its sentences name it.
    """
    if _HEADER.search(text):
        return True
    if not _ADDRESS.search(text):
        return False
    sentences = [part for part in re.split(r"(?<=[.!?])\s+|\n\s*\n", text) if part.strip()]
    about = sum(len(part) for part in sentences if _ABOUT.search(part))
    return 2 * about > sum(map(len, sentences))
