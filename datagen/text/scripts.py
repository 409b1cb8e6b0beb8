"""Scripts: those that are written without spaces between words, and which one a text is in.

The one table of what such writing asks for. Each constant in capitals is the inside of a character class of a regular
expression, or a set of languages, as codes of ISO 639. Three questions are asked, and their answers differ: whether a
character is a word as far as anything can be told from it (`UNSPACED`), whether a line may end amid a word
(`WRAPPED_ANYWHERE`), and whether a sentence ends without a stop (`UNSTOPPED`). Where spaces and stops stand in text of
any script is for `punctuation`; `grounding`, which ships by itself, has a copy of what it needs.
"""

from __future__ import annotations

import unicodedata
from collections import Counter

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
HIRAGANA = "\u3041-\u3096"  # its letters
KATAKANA = "\u30a1-\u30fa\u30fc"  # its letters, and the mark that makes a vowel long
KANA = "\u3040-\u30ff"  # both, with the marks between
HANGUL = "\uac00-\ud7af"  # its syllables
THAI_LAO = "\u0e00-\u0eff"
MYANMAR = "\u1000-\u109f"
KHMER = "\u1780-\u17ff"

# Written without spaces between words: each character counts as a word, and as half a word of length. Tibetan is not
# among them, whose tsheg stands between syllables; nor Korean, which has spaces.
UNSPACED = THAI_LAO + MYANMAR + KHMER + "\u3005-\u3007" + KANA + HAN
UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "km", "my"})

# Set in lines that end anywhere, amid words: such a line end is nothing at all. That holds for Han characters and kana,
# with their punctuation and wide forms; not for Thai and its like, where a line end may stand for the space that ends a
# clause. Korean lines end amid words, too, or at their spaces: `wrapped` tells them apart.
WRAPPED_ANYWHERE = "\u2e80-\u303f" + KANA + "\u31f0-\u31ff" + HAN + "\uff00-\uff60"
WRAPPED_LANGUAGES = frozenset({"zh", "ja", "ko"})

# Written without full stops: a space ends a clause.
UNSTOPPED = THAI_LAO

NAMES = {  # of scripts, by the first word of a letter's name in Unicode, where it is another
    "CJK": "Han",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HALFWIDTH": "Japanese",
    "KATAKANA-HIRAGANA": "Japanese",
    "FULLWIDTH": "Latin",
}
LANGUAGES_OF = {  # that can be told of a text in a script, by its name as `script` gives it
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
LOOKED_AT = 20_000  # characters


def _counts(text: str) -> Counter[str]:
    """How many letters of each script are in a text, by the names that `script` gives."""
    found: Counter[str] = Counter()
    for char, n in Counter(text).items():
        if char.isalpha():
            first = unicodedata.name(char, "UNKNOWN").partition(" ")[0]
            found[NAMES.get(first, first.capitalize())] += n
    return found


def script(text: str) -> str:
    """The script most of the text's first letters are of, such as Latin, Cyrillic, Han, Hangul; empty without letters.

    Han with at least one kana to twenty of its characters is Japanese.
    """
    found = _counts(text[:LOOKED_AT])
    if not found:
        return ""
    most = found.most_common(1)[0][0]
    is_japanese = found["Japanese"] * 20 >= found["Han"] > 0
    return "Japanese" if is_japanese and found["Japanese"] + found["Han"] >= found[most] else most
