"""Rare words of languages whose script has no capitals, as places in a sentence.

A word is rare that neither is known nor follows from known ones (see frequency.py). In Chinese, Japanese, Thai, Lao,
Khmer and Burmese the words are ICU's segments, in Korean what a particle stands after, elsewhere what stands
between spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from datagen.tasks.cloze import affixes, frequency, names, thai
from datagen.tasks.cloze.boundaries import segments
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.languages import UNLISTED, function_words
from datagen.tasks.cloze.words import words
from datagen.text.scripts import HAN, KATAKANA, UNSPACED_LANGUAGES

_LONG = 7  # letters: where a language has no list, a word as long as this counts as rare, if it stands in one chunk
_KATAKANA = re.compile(rf"[{KATAKANA}]{{2,}}(?:[・＝][{KATAKANA}]{{2,}})*")
_KANJI = re.compile(f"[{HAN}々〆ヶ]+")
_COMPOUND = re.compile(f"[{HAN}々・＝]")
_FOREIGN = re.compile(
    r"(?<![A-Za-z0-9_./@:*$%+=~-])(?:[A-Z][A-Za-z0-9]*(?:[ -][A-Z][A-Za-z0-9]*)*|[a-z][A-Za-z0-9]*)"
    r"(?![A-Za-z0-9_/@-]|[.:][A-Za-z0-9])"
)
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
# What stands before nouns, or after them; where nothing is listed, any rare word may be one.
_BEFORE = {
    "ar": frozenset(
        ["في", "من", "على", "إلى", "عن", "مع", "بين", "لدى", "عند", "باسم", "اسم", "مدينة", "بلاد", "الى", "فى"]
    ),
    "he": frozenset(["את", "של", "על", "אל", "עם", "בין", "לפי", "מן", "אצל", "בשם", "העיר", "ידי"]),
    "fa": frozenset(["در", "از", "به", "با", "برای", "نام", "شهر"]),
}
_AFTER = {
    "hi": frozenset(["का", "की", "के", "को", "में", "से", "ने", "पर", "तक", "द्वारा", "नामक", "नाम"]),
    "ur": frozenset(["کا", "کی", "کے", "کو", "میں", "سے", "نے", "پر", "تک", "نامی"]),
}
_NO_NOUN = {  # how words end that are no nouns, or say whose they are
    "hi": re.compile("(?:पूर्वक|कर|ने)$"),
    "he": re.compile("(?:יהם|יהן|יכם|ינו|יו|יך)$"),
}
_STEM_END = frozenset("りきみちびぎじしれけせめべげえ")  # of a verb, that goes on with another word: 名残り惜気
_PARTICLE = re.compile(r"[のをにがはともへ、。」）)・でから]|$")  # what stands after a Japanese noun
_COUNTING = re.compile(r"[一二三四五六七八九十百千万億数何幾年月日時分秒間回個本人名前後中上下内外的性化的各]")
# Korean particles that stand after nouns only.
_NOMINAL = frozenset(
    {
        "가",
        "를",
        "와",
        "과",
        "의",
        "에",
        "에서",
        "에게",
        "으로",
        "로",
        "부터",
        "까지",
        "라는",
        "이라는",
        "에서는",
        "에서도",
        "으로는",
        "로는",
    }
)
_VERBAL = "음함됨임기것했할하된될되다므냐째"  # what ends Korean verbs that are used as nouns, their stems, and ordinals
_FEWEST = 3  # letters
_ALONE = 5.0  # on the Zipf scale: a Chinese character as frequent as this is a word by itself
_SELDOM = 4.5  # on the Zipf scale: a Chinese character as rare as this, among lone ones, is a part of a name

# What ends Chinese compounds, such as 套接字, and what is a word by itself and in no name.
_NOUN_ENDS = frozenset("字性者器化机機率法式度型表码碼员員家学學系量类類业業界派论論体體层層级級线線区區站板符键鍵名")
_COUNTS = frozenset("几幾某整本各每该該此这這那一二三四五六七八九十两兩多第")  # in front of a noun
_RESULTS = frozenset("入出乱亂掉到住完显顯矣")  # at the end of a verb, mostly one of many that would do
_SURNAMES = frozenset(  # most Chinese have one of these
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜"
    "范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文張劉陳楊趙黃吳孫馬羅鄭謝韓馮蕭鄧許呂"
    "蘇盧蔣賈葉閻鍾範譚鄒陸顧龍萬錢湯喬賀賴龔"
)
_LONGEST = 5  # characters of a Chinese word that is looked up
_PLACES = 20  # of a word, that are looked at
_NO_NAME = frozenset("应應须須需可能会會要将將让讓使被把从從向对對与與及或等时時后後前中上下内內外里裏间間")


def rare_words(shown: str, code: str, doc: DocumentIndex) -> Iterator[tuple[int, int]]:
    """Where rare words stand, those of the language first, then names in Latin letters."""
    if code == "ja":
        yield from _japanese(shown)
    elif code == "zh":
        yield from _chinese(shown, doc)
    elif code == "th":
        yield from thai.names(shown)
    elif code in UNSPACED_LANGUAGES:
        yield from ((a, b) for a, b in segments(shown, code) if _is_rare(shown[a:b], code, doc))
    elif code == "ko":
        yield from _korean(shown)
    else:
        yield from _nouns(shown, code, doc)
    for match in _FOREIGN.finditer(shown):
        parts = match.group().split()
        if names.NUMBERED.match(shown, match.end()):
            continue
        if len(match.group()) >= _FEWEST and not (len(parts) > 1 and any(p.isupper() for p in parts)):
            yield match.span()


def _is_rare(word: str, code: str, doc: DocumentIndex) -> bool:
    if len(word) < _FEWEST or _LATIN.search(word):
        return False
    if code in UNLISTED:
        return len(word) >= _LONG and doc.chunks_with(words(word)) == 1
    return not frequency.is_familiar(word, code)


def _nouns(shown: str, code: str, doc: DocumentIndex) -> Iterator[tuple[int, int]]:
    """Rare words between spaces, where their neighbours or their article say that they are nouns."""
    found = names.tokens(shown)
    for i, (a, b) in enumerate(found):
        before = shown[slice(*found[i - 1])] if i and shown[found[i - 1][1] : a] == " " else ""
        after = shown[slice(*found[i + 1])] if i + 1 < len(found) and shown[b : found[i + 1][0]] == " " else ""
        if code in _BEFORE and before not in _BEFORE[code] and not (code == "ar" and shown.startswith("ال", a)):
            continue
        if code in _AFTER and after not in _AFTER[code]:
            continue
        if code in _NO_NOUN and _NO_NOUN[code].search(shown, a, b):
            continue
        if _is_rare(shown[a:b], code, doc):
            yield a, b


def _japanese(shown: str) -> Iterator[tuple[int, int]]:
    """Runs of katakana, which spell names and loan words, and rare words of Han characters, whole runs of them."""
    for match in _KATAKANA.finditer(shown):
        beside = shown[match.start() - 1 : match.start()] + shown[match.end() : match.end() + 1]
        if _COMPOUND.search(beside):  # 実行ファイル, ローマ帝国, one of a list
            continue
        if len(match.group()) > _FEWEST and not frequency.is_familiar(match.group(), "ja"):
            yield match.span()
    for match in _KANJI.finditer(shown):
        if shown[match.end() : match.end() + 1] == "《":  # its reading stands after it
            continue
        if shown[match.start() - 1 : match.start()] in _STEM_END:
            continue
        if _COUNTING.search(match.group()) or not _PARTICLE.match(shown, match.end()):
            continue
        if 2 <= len(match.group()) <= 6 and not frequency.is_familiar(match.group(), "ja"):
            yield match.span()


def _chinese(shown: str, doc: DocumentIndex) -> Iterator[tuple[int, int]]:
    """Rare segments, and runs of lone characters, which spell names, between known words.

    Next to another lone character a segment may be half of a name. What is in no list of words must be a name by its
    first character, or stand elsewhere in the document between other characters (the accessor variety of Feng et al.
    2004, "Accessor variety criteria for Chinese word extraction").
    """
    found = segments(shown, "zh")
    grammar = function_words("zh")

    def is_safe(i: int) -> bool:
        if not 0 <= i < len(found):
            return True
        word = shown[slice(*found[i])]
        return not word.isalpha() or word in grammar or frequency.zipf(word, "zh") >= (3 if len(word) > 1 else _ALONE)

    def is_lone(i: int) -> bool:
        word = shown[slice(*found[i])]
        return len(word) == 1 and word not in grammar and _KANJI.fullmatch(word) is not None

    i = 0
    while i < len(found):
        j = i + 1
        while j < len(found) and found[j][1] - found[j][0] == 1 == found[j - 1][1] - found[j - 1][0] and is_lone(j):
            j += 1
        if not is_lone(i):
            j = i + 1
        a, b = found[i][0], found[j - 1][1]
        word = shown[a:b]
        rare_run = j > i + 1 and b - a <= 3 and min(frequency.zipf(c, "zh") for c in word) < _SELDOM
        rare_word = j == i + 1 and b - a >= 2 and not any(c in grammar for c in word)
        rare = (rare_run or rare_word) and _KANJI.fullmatch(word) and not frequency.is_familiar(word, "zh")
        rare = (
            rare
            and word[0] not in _COUNTS
            and word[-1] not in _RESULTS
            and _is_chinese_word(word, doc)
            and not _is_crossed(shown, a, b)
        )
        cut = j < len(found) and shown[slice(*found[j])] in _NOUN_ENDS
        cut = cut or (rare_run and not _NO_NAME.isdisjoint((word[0], word[-1])))
        if rare and not cut and is_safe(i - 1) and is_safe(j):
            yield a, b
        i = j


def _is_chinese_word(word: str, doc: DocumentIndex) -> bool:
    if frequency.is_attested(word, "zh") or (word[0] in _SURNAMES and len(word) in (2, 3)):
        return True
    places = list(islice(doc.places(list(word)), _PLACES))
    before = {doc.stream[max(0, at - 1) : at] for at in places}
    after = {doc.stream[at + 2 * len(word) + 1 : at + 2 * len(word) + 2] for at in places}
    return len(before) > 1 and len(after) > 1


def _is_crossed(shown: str, start: int, end: int) -> bool:
    """Whether a listed word begins outside of a stretch and ends in it, or the other way round: 惊慌失措, of 失措."""
    return any(
        frequency.is_attested(shown[a:b], "zh")
        for at in (start, end)
        for a in range(max(0, at - _LONGEST + 1), at)
        for b in range(at + 1, min(len(shown), a + _LONGEST) + 1)
        if not (start <= a and b <= end) and _KANJI.fullmatch(shown, a, b)
    )


def _korean(shown: str) -> Iterator[tuple[int, int]]:
    """Rare stems before a particle: what nothing is attached to may be a verb."""
    for start, end in names.tokens(shown):
        word = shown[start:end]
        attached = affixes.ending(word, "ko")
        stem = word[: len(word) - attached]
        rare = (
            word[len(stem) :] in _NOMINAL
            and len(stem) >= 2
            and not stem.isascii()
            and not frequency.is_familiar(stem, "ko")
            and not frequency.zipf(word, "ko")  # an adverb, say, which ends as if it had a particle
        )
        if rare and not affixes.ending(stem, "ko") and stem[-1] not in _VERBAL:
            yield start, start + len(stem)
