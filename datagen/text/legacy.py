"""Which of the encodings before Unicode a text is in: the one in which it is the likeliest text.

Every candidate that decodes all bytes is a reading; readings that are the same text are one. How likely a reading is,
is how likely its words are in the language that fits them best (likeness.py), times how common its encoding is.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from datagen.text import likeness, scripts
from datagen.text.likeness import Parts

# The candidates with the base-10 logarithm of how common they are, the likelier first: that one names a text which
# several read alike. Inner tuples are versions of one encoding, of which the first that decodes all bytes counts.
COMMON = (
    *(("latin-1",), ("cp1252",), ("gb18030",), ("cp932", "shift_jis_2004"), ("cp1251",), ("cp949",), ("cp1250",)),
    *(("big5", "cp950", "big5hkscs"), ("euc_jp", "euc_jis_2004"), ("cp1254",), ("cp1256",), ("cp1253",), ("cp1255",)),
    *(("cp1257",), ("cp1258",), ("cp874",), ("iso8859-2",), ("koi8-r",)),
)
USUAL = (
    *(("iso8859-15",), ("iso8859-7",), ("iso8859-9",), ("iso8859-5",), ("iso8859-6",), ("iso8859-8",)),
    *(("iso8859-13",), ("iso8859-16",), ("iso8859-4",), ("koi8-u",), ("cp866",), ("cp850",), ("cp437",)),
    *(("cp852",), ("mac-roman",)),
)
RARE = (
    *(("cp1125",), ("cp855",), ("cp857",), ("cp737",), ("cp862",), ("cp775",), ("cp720",), ("cp869",), ("cp858",)),
    *(("mac-cyrillic",), ("mac-latin2",), ("mac-greek",), ("mac-turkish",), ("mac-iceland",), ("johab",)),
    *(("iso8859-3",), ("iso8859-10",), ("iso8859-14",), ("cp861",), ("cp865",), ("kz1048",), ("ptcp154",)),
    *(("hp-roman8",), ("cp860",), ("cp863",), ("koi8-t",)),
)
COMMON_LOG, USUAL_LOG, RARE_LOG = -0.5, -1.5, -2.5
PRIOR = ((COMMON, COMMON_LOG), (USUAL, USUAL_LOG), (RARE, RARE_LOG))
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
MULTIBYTE = re.compile("gb18030|cp932|cp949|big5|euc|johab")
# The languages that encodings of the Latin script were made for, and how likely each is in another one of that script.
CENTRAL, BALTIC = frozenset(("pl", "cs", "sk", "hu", "ro", "sh", "sl")), frozenset(("lt", "lv"))
REGIONAL = (
    dict.fromkeys(("cp1250", "iso8859-2", "iso8859-16", "cp852", "mac-latin2"), CENTRAL)
    | dict.fromkeys(("cp1257", "iso8859-13", "iso8859-4", "iso8859-10", "cp775"), BALTIC)
    | dict.fromkeys(("cp1254", "iso8859-9", "iso8859-3", "cp857", "mac-turkish"), frozenset(("tr",)))
    | {"cp1258": frozenset(("vi",)), "mac-iceland": frozenset(("is",)), "cp861": frozenset(("is",))}
)
ELSEWHERE = -2.0
# The scripts that other encodings were made for: each has letters of its own in a text, or is unlikely.
SCRIPT_OF = {
    **dict.fromkeys(("cp1251", "koi8-r", "koi8-u", "koi8-t", "iso8859-5", "cp866", "cp1125", "cp855"), "Cyrillic"),
    **dict.fromkeys(("mac-cyrillic", "kz1048", "ptcp154"), "Cyrillic"),
    **dict.fromkeys(("cp1253", "iso8859-7", "cp737", "cp869", "mac-greek"), "Greek"),
    **dict.fromkeys(("cp1255", "iso8859-8", "cp862"), "Hebrew"),
    **dict.fromkeys(("cp1256", "iso8859-6", "cp720", "cp864"), "Arabic"),
    **dict.fromkeys(("cp874",), "Thai"),
    **dict.fromkeys(("gb18030", "big5", "cp950", "big5hkscs"), "Han"),
    **dict.fromkeys(("cp932", "shift_jis_2004", "euc_jp", "euc_jis_2004"), "Japanese"),
    **dict.fromkeys(("cp949", "johab"), "Hangul"),
}
WITHOUT_SCRIPT = -3.0
CONTROL = re.compile("[\x80-\x9f]")

LEAD = 3.0  # powers of ten by which a reading must be likelier than any that is another text
# How likely a letter must be on average, at the least; in languages whose words no blanks part, and in others. In
# those, half of the words must be known: a language without a list is written in letters that others are written in.
LEAST = {"zh": -3.4, "ja": -3.0, "ko": -3.1, "th": -1.95}
LEAST_OF_OTHERS, LEAST_OF_SIGNS, UNLIKE_TEXT, KNOWN, UNKNOWN_LANGUAGE = -2.3, -4.0, -6.0, 0.5, 0.4
FEW_SIGNS = 0.002  # of the letters in words that are not ASCII
SURELY = 4  # times as many characters of UTF-8 as bytes that are not
WIDE_LETTERS = 16  # that a text needs to be taken for one of two or four bytes a character
COMPARED = 50  # lines that are UTF-8 among others, of which some are so by chance
SAMPLE = 12_000  # bytes that are looked at
LINE = 4096  # bytes of a line that are looked at
AROUND = re.compile(rb"[^ \n]{,200}")
PLACES = 4  # of every byte that the sample lacks
LANGUAGES = 6  # of the Latin script that are looked at closely
LANGUAGES_OF = {
    "Cyrillic": ("ru", "uk", "bg", "mk", "sr"),
    "Greek": ("el",),
    "Hebrew": ("he",),
    "Arabic": ("ar", "fa", "ur"),
    "Thai": ("th",),
    "Han": ("zh", "ja"),
    "Japanese": ("ja", "zh"),
    "Hangul": ("ko",),
    "Devanagari": ("hi",),
    "Bengali": ("bn",),
    "Tamil": ("ta",),
}


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
    def has_plausible_words(self) -> bool:
        """Whether it has letters that are not ASCII, and its words are as likely as those of its language are."""
        is_known = self.language in LEAST or self.known >= KNOWN
        return is_known and 0 > self.letters >= LEAST.get(self.language, LEAST_OF_OTHERS)

    @property
    def is_conceivable(self) -> bool:
        """Whether it may be text, in a language that is not known here."""
        least = LEAST.get(self.language, LEAST_OF_OTHERS) - UNKNOWN_LANGUAGE
        return self.letters >= least and (self.few_signs or self.signs >= LEAST_OF_SIGNS)

    @property
    def is_plausible(self) -> bool:
        """Whether it is as likely as text of its language is."""
        if self.language not in LEAST and self.known < KNOWN:
            return False
        likely = self.letters >= LEAST.get(self.language, LEAST_OF_OTHERS)
        return likely and (self.few_signs or self.signs >= LEAST_OF_SIGNS)


def readings(raw: bytes) -> list[Reading]:
    """All readings of the bytes, the likeliest first. Those of several bytes a character are tried on a sample alone:
    they may yet fail on the whole. Bytes among which are zeros are read as UTF-16 and UTF-32 alone; UTF-8 is read as
    far as it is that.
    """
    stretches = [raw[: SAMPLE - SAMPLE % 4]] if b"\0" in raw else sample(raw)
    texts: list[tuple[str, str, float]] = []
    for versions, prior in _candidates(raw):
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
    if MULTIBYTE.match(encoding):
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
    versions = next((names for group, _ in PRIOR for names in group if encoding in names), (encoding,))
    for name in versions:
        with suppress(UnicodeDecodeError):
            return raw.decode(name), name
    return None


def _candidates(raw: bytes) -> Iterator[tuple[tuple[str, ...], float]]:
    """Encodings, each in all versions, and how common each is; of those that read the same text, the first."""
    if b"\0" in raw or (len(raw) <= LINE and len(raw) % 2 == 0):
        yield from (((name,), COMMON_LOG if b"\0" in raw else RARE_LOG) for name in WIDE)
    if b"\0" in raw:
        return
    used = bytes(byte for byte in range(128, 256) if byte in raw)
    seen: set[str] = set()
    for group, prior in PRIOR:
        for names in group:
            if MULTIBYTE.match(names[0]):
                yield names, prior
                continue
            try:
                text = used.decode(names[0])
            except UnicodeDecodeError:
                continue
            if text not in seen and not CONTROL.search(text):
                seen.add(text)
                yield names, prior


def read(encoding: str, text: str, prior: float = 0.0) -> Reading:
    """How likely a text is in the language that fits it best."""
    found = likeness.parts(unicodedata.normalize("NFC", text))
    plain = [(word, n) for word, n in found.words.items() if word.isascii()]
    foreign = [(word, n) for word, n in found.words.items() if not word.isascii()]
    n_letters = sum(len(word) * n for word, n in foreign)
    tried: list[Reading] = []
    for language in _languages(found):
        log = likeness.log(foreign, language)
        whole = likeness.log(plain, language) + log + found.signs + found.shapes + prior + _away(encoding, language)
        letters, signs = log / max(1, n_letters), found.signs / max(1, found.n_signs)
        in_all = sum(map(len, found.words.elements()))
        few = found.n_signs <= FEW_SIGNS * n_letters
        if found.n_signs > in_all or (encoding in WIDE and in_all < WIDE_LETTERS):
            signs, few = signs + UNLIKE_TEXT, False
        tried.append(Reading(encoding, language, whole, letters, signs, few, likeness.known(found.words, language)))
    return max(tried, key=lambda reading: reading.log)


def _away(encoding: str, language: str) -> float:
    """How likely an encoding is for a language that it was not made for."""
    if language not in LANGUAGES_OF.get(SCRIPT_OF.get(encoding, ""), (language,)):
        return WITHOUT_SCRIPT
    return ELSEWHERE if language not in REGIONAL.get(encoding, (language,)) else 0.0


def _languages(found: Parts) -> tuple[str, ...]:
    """The languages that a text may be in, by the script of its letters that are not ASCII, and by its common words."""
    script = scripts.script("".join(word for word in found.words if not word.isascii()))
    if script in LANGUAGES_OF:
        return LANGUAGES_OF[script]
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
