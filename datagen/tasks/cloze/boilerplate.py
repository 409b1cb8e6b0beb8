"""Sentences that nobody should be asked about: of licences, notices and web pages, headings, and those that only point
elsewhere.

`text.boilerplate` sets whole chunks aside, and so asks for many signs in most of a chunk: prose about copyright is
prose. Here one word is enough: there are other sentences to ask about, and one that says "all rights reserved" is never
a good question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from datagen.text.licences import END, FOOTER, START

# In lower case; what is found as it stands goes quickly over every sentence of a document.
_PHRASES = (
    "copyright",
    "all rights reserved",
    "gutenberg",
    "creative commons",
    "licensed under",
    "licenced under",
    "license agreement",
    "©",
    "℗",
    "®",
    "terms of use",
    "terms of service",
    "privacy policy",
    "privacy notice",
    "trademark",
    "without warrant",
    "without any warrant",
    "express warrant",
    "implied warrant",
    "liable for",
    "liability for",
    "permission is hereby",
    "redistribut",
    "endorse or promote",
    "public domain",
    "transcriber",
    "e-text",
    "etext",
    "ebook",
    "e-book",
    "newsletter",
    "subscribe to",
    "click here",
    "click on",
    "sign in ",
    "sign up ",
    "log in ",
    "share this",
    "tous droits réservés",
    "droit d'auteur",
    "droits d'auteur",
    "droit d’auteur",
    "droits d’auteur",
    "conditions générales",
    "conditions d'utilisation",
    "conditions d’utilisation",
    "mentions légales",
    "alle rechte vorbehalten",
    "urheberrecht",
    "nutzungsbedingungen",
    "datenschutzerklärung",
    "datenschutzhinweis",
    "impressum",
    "todos los derechos",
    "derechos de autor",
    "aviso legal",
    "términos de uso",
    "todos os direitos",
    "diritti riservati",
    "alle rechten voorbehouden",
    "все права защищены",
    "авторские прав",
    "авторских прав",
    "авторским прав",
    "пользовательское соглашени",
    "tüm hakları saklıdır",
    "telif hakkı",
    "wszelkie prawa zastrzeżone",
    "πνευματικά δικαι",
    "πνευματικών δικαι",
    "版权所有",
    "版權所有",
    "著作权",
    "著作權",
    "著作権",
    "無断転載",
    "青空文庫",
    "저작권",
    "무단전재",
    "무단 전재",
    "جميع الحقوق محفوظة",
    "حقوق النشر",
    "כל הזכויות שמורות",
    "זכויות יוצרים",
    "सर्वाधिकार सुरक्षित",
    "कॉपीराइट",
    "สงวนลิขสิทธิ์",
)
_LEGAL = re.compile(
    r"\bisbn\b|\bcookies?\b|general public licen[sc]e.{0,80}(?:published|publi[ée]|publicad|veröffentlicht|опубликован)"
)
_POINTER = re.compile(
    r"^\W*(?-i:TODO|FIXME|XXX|HACK)\b|"
    r"^\W*(?:changed|new|added|deprecated|removed) in version|"
    r"^\W*(?:see (?:also|section|the|(?-i:[A-Z\"'_*]))|voir (?-i:[A-Z])|siehe|vgl|cf|véase|см\.|参见|參見|参照)\b|"
    r"^\W*(?:for (?:more|further) (?:information|details?|on)|note|warning|example)\b[^.]{0,60}:|"
    r"^\W*(?:table|figure|fig|page|chapter|section|part|chapitre|kapitel|abschnitt|abbildung|tabelle|capítulo|sección|"
    r"capitolo|hoofdstuk|rozdział|глава|раздел|рис|рисунок|таблица|κεφάλαιο|bölüm|şekil)\.?\s+[\divxlc]+\b|"
    r"^\W*第\s?[\d一二三四五六七八九十百]+\s?[章节節部回話话]|^\W*제\s?\d+\s?[장절부]|^\W*الفصل |^\W*פרק |^\W*अध्याय ",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\b\d+(?:\.\d+)+\s?(?:[,:]|节|節|절)?\s?[“\"«„「‘”]|第\s?\d+(?:\.\d+)*\s?[节節章]\s?[「“]")


def is_boilerplate(shown: str) -> bool:
    """Whether a sentence or a paragraph is about rights, terms or the web page that it stands on."""
    lowered = shown.lower()
    return any(phrase in lowered for phrase in _PHRASES) or _LEGAL.search(lowered) is not None


def points_elsewhere(shown: str) -> bool:
    """Whether a sentence is a heading, or says where something else is written, by the title of a numbered section."""
    return _POINTER.match(shown) is not None or _REFERENCE.search(shown) is not None


def body(chunks: Sequence[str]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where a document begins and ends without a distributor's header and licence, each as (chunk, character).

    chunks: the texts of all of its chunks, in order.
    """
    first, last = (0, 0), (len(chunks), 0)
    for i, chunk in enumerate(chunks):
        for found in START.finditer(chunk):
            line = chunk.find("\n", found.end())
            first = (i, line + 1 if line >= 0 else len(chunk))
        ends = [found.start() for mark in (END, FOOTER) if (found := mark.search(chunk))]
        if ends and (i, min(ends)) > first:
            last = (i, min(ends))
            break
    return first, last
