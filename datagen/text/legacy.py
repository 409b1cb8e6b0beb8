"""Which of the encodings before Unicode a text is in: the one in which it is the likeliest text.

Every candidate that decodes all bytes is a reading; readings that are the same text are one. How likely a reading is,
is how likely its words are in the language that fits them best (likeness.py), times how common its encoding is.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass

from datagen.text import codepages, likeness, scripts
from datagen.text.likeness import Parts

LEAD = 3.0  # powers of ten by which a reading must be likelier than any that is another text
# How likely a letter must be on average, at the least: in languages of whose words few are in a list, since no spaces
# part them or particles are attached to them; and in others. In those, half of the words must be known, too: a language
# without a list is written in letters that others are written in.
LEAST = {"zh": -3.4, "ja": -3.0, "ko": -3.1, "th": -1.95}
LEAST_OF_OTHERS, LEAST_OF_SIGNS, UNLIKE_TEXT, KNOWN, UNKNOWN_LANGUAGE = -2.3, -4.0, -6.0, 0.5, 0.4
FEW_SIGNS = 0.002  # of the letters in words that are not ASCII
SURELY = 4  # times as many characters of UTF-8 as bytes that are not
WIDE_LETTERS = 16  # that a text needs to be taken for one of two or four bytes a character
COMPARED = 50  # lines that are UTF-8 among others, of which some are so by chance
SAMPLE = 12_000  # bytes that are looked at
LINE = 4096  # bytes of a line that are looked at; of a text, that are all looked at
AROUND = re.compile(rb"[^ \n]{,200}")
PLACES = 4  # of every byte that the sample lacks
LANGUAGES = 6  # of the Latin script that are looked at closely


@dataclass(frozen=True)
class Reading:
    """A way to read bytes: the encoding, the language the text is likely to be in, how likely it is (the base-10
    logarithm, comparable among readings of the same bytes), and how like text it is, whatever the others are.

    `letters` and `signs` are how likely each of those that are not ASCII is, on average; `few_signs`: these are so few
    that odd ones among them (a quotation mark for a comma) say nothing. `known` is the share of the words that are in
    the language's list.
    """

    encoding: str
    language: str
    log: float
    letters: float
    signs: float
    few_signs: bool
    known: float

    @property
    def _is_known(self) -> bool:
        return self.language in LEAST or self.known >= KNOWN

    @property
    def _least(self) -> float:
        return LEAST.get(self.language, LEAST_OF_OTHERS)

    @property
    def _has_likely_signs(self) -> bool:
        return self.few_signs or self.signs >= LEAST_OF_SIGNS

    @property
    def has_plausible_words(self) -> bool:
        """Whether it has letters that are not ASCII, and its words are as likely as those of its language are."""
        return self._is_known and 0 > self.letters >= self._least

    @property
    def is_plausible(self) -> bool:
        """Whether it is as likely as text of its language is."""
        return self._is_known and self.letters >= self._least and self._has_likely_signs

    @property
    def is_conceivable(self) -> bool:
        """Whether it may be text, in a language that is not known here."""
        return self.letters >= self._least - UNKNOWN_LANGUAGE and self._has_likely_signs


def readings(raw: bytes) -> list[Reading]:
    """All readings of the bytes, the likeliest first. Those of several bytes a character are tried on a sample alone:
    they may yet fail on the whole. Bytes among which are zeros are read as UTF-16 and UTF-32 alone; UTF-8 is read as
    far as it is that.
    """
    stretches = [raw[: SAMPLE - SAMPLE % 4]] if b"\0" in raw else sample(raw)
    texts: list[tuple[str, str, float]] = []
    for versions, prior in codepages.candidates(raw):
        for encoding in versions:
            with suppress(UnicodeDecodeError):
                texts.append((encoding, _decoded(stretches, encoding), prior))
                break
    if b"\0" not in raw:
        texts.append(("utf-8", _decoded(stretches, "utf-8", "replace"), 0.0))
    found = [read(encoding, text, prior) for encoding, text, prior in texts]
    return sorted(found, key=lambda reading: -reading.log)


@dataclass(frozen=True)
class Choice:
    """What bytes are read as. `text` is None where that is not sure: then `likely` are the encodings that might be it,
    two if they are about as likely, one if it is not likely enough. The encoding utf-8 means: but for damage.
    """

    text: str | None
    encoding: str
    likely: tuple[str, ...] = ()


def choose(raw: bytes) -> Choice:
    """What the bytes, which are not UTF-8 or have zeros among them, are likeliest to be."""
    if _is_damaged_utf8(raw):
        return Choice(None, "utf-8")
    best: tuple[Reading, str, str] | None = None
    for reading in readings(raw):
        if best and reading.log < best[0].log - LEAD:
            break
        if best is None and reading.encoding == "utf-8":
            return Choice(None, "utf-8")
        if (decoded := _whole(raw, reading.encoding)) is None:
            continue
        if best is None and not reading.is_plausible:
            return Choice(None, "", (decoded[1],) if reading.is_conceivable or reading.has_plausible_words else ())
        if best is None:
            best = reading, *decoded
        elif reading.is_plausible and decoded[0] != best[1]:
            return Choice(None, "", (best[2], decoded[1]))
    return Choice(best[1], best[2]) if best else Choice(None, "")


def _is_damaged_utf8(raw: bytes) -> bool:
    """Whether nearly all that is not ASCII is UTF-8: of two bytes in other encodings, many are by chance, not most."""
    good = raw.decode("utf-8", "ignore")
    invalid = len(raw) - len(good.encode())
    return len(good) - len(good.encode("ascii", "ignore")) > SURELY * invalid


def foreign_line(raw: bytes, encoding: str) -> int | None:
    """The number of a line that is UTF-8 among the others, which are in an encoding of one byte a character."""
    if codepages.MULTIBYTE.match(encoding):
        return None
    compared = 0
    for line in re.finditer(rb"[^\n]*[\x80-\xff][^\n]*", raw):
        with suppress(UnicodeDecodeError):
            text = line[0][:LINE].decode()
            compared += 1
            if read("utf-8", text).log > read(encoding, line[0][:LINE].decode(encoding)).log + LEAD:
                return raw.count(b"\n", 0, line.start()) + 1
            if compared == COMPARED:
                break
    return None


def _whole(raw: bytes, encoding: str) -> tuple[str, str] | None:
    """The text of all bytes, and the version of the encoding that decodes them."""
    if encoding == "utf-8":
        return None
    for name in codepages.versions(encoding):
        with suppress(UnicodeDecodeError):
            return raw.decode(name), name
    return None


def read(encoding: str, text: str, prior: float = 0.0) -> Reading:
    """How likely a text is in the language that fits it best.

    encoding: what read it. prior: the base-10 logarithm of how common that is.
    """
    found = likeness.parts(unicodedata.normalize("NFC", text))
    plain = [(word, n) for word, n in found.words.items() if word.isascii()]
    foreign = [(word, n) for word, n in found.words.items() if not word.isascii()]
    n_letters = sum(len(word) * n for word, n in foreign)
    in_all = sum(map(len, found.words.elements()))
    tried: list[Reading] = []
    for language in _languages(found):
        log = likeness.log(foreign, language)
        of_text = likeness.log(plain, language) + log + found.signs + found.shapes
        whole = of_text + prior + codepages.away(encoding, language)
        letters, signs = log / max(1, n_letters), found.signs / max(1, found.n_signs)
        few = found.n_signs <= FEW_SIGNS * n_letters
        if found.n_signs > in_all or (encoding in codepages.WIDE and in_all < WIDE_LETTERS):
            signs, few = signs + UNLIKE_TEXT, False
        tried.append(Reading(encoding, language, whole, letters, signs, few, likeness.known(found.words, language)))
    return max(tried, key=lambda reading: reading.log)


def _languages(found: Parts) -> tuple[str, ...]:
    """The languages that a text may be in, by the script of its letters that are not ASCII, and by its common words."""
    script = scripts.script("".join(word for word in found.words if not word.isascii()))
    if script in scripts.LANGUAGES_OF:
        return scripts.LANGUAGES_OF[script]
    latin = [name for name in likeness.languages() if name not in likeness.OTHER_SCRIPTS]
    words = list(found.words.items())
    return tuple(sorted(latin, key=lambda name: -likeness.rough(words, name))[:LANGUAGES])


def sample(raw: bytes) -> list[bytes]:
    """Stretches with bytes that are not ASCII, and around those that occur elsewhere alone. They begin at a line's
    start or after a blank, where in every encoding a character begins, and end anywhere.
    """
    if len(raw) <= LINE:
        return [raw]
    stretches, held = [], 0
    for line in re.finditer(rb"[^\n]+\n?", raw):
        stretch = raw[line.start() : min(line.end(), line.start() + LINE)]
        if not stretch.isascii():
            stretches.append(stretch)
            held += len(stretch)
            if held >= SAMPLE:
                break
    seen = b"".join(stretches)
    for byte in (byte for byte in range(128, 256) if byte not in seen):
        at = raw.find(byte)
        for _ in range(PLACES):
            if at < 0:
                break
            start = max(raw.rfind(mark, max(0, at - 200), at) for mark in (b" ", b"\n")) + 1
            if start or at <= 200:
                end = AROUND.match(raw, at)
                stretches.append(raw[start : end.end() if end else at + 1] + b"\n")
            at = raw.find(byte, at + 1)
    return stretches


def _decoded(stretches: list[bytes], encoding: str, errors: str = "strict") -> str:
    """The text of stretches; what is cut off at an end is left out. Raises UnicodeDecodeError."""
    make = codecs.getincrementaldecoder(encoding)
    return "\n".join(make(errors).decode(stretch) for stretch in stretches)
