"""Text around a text: licences, notices, navigation, headings, and sentences that only point elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LEGAL = re.compile(
    r"copyright|all rights reserved|gutenberg|\bisbn\b|creative commons|\blicen[sc]ed? (?:under|agreement)|©|℗|®|"
    r"terms of (?:use|service)|privacy (?:policy|notice)|\bcookies?\b|trademark|without (?:any )?warrant|"
    r"(?:express|implied) warrant|liab(?:le|ility) for|permission is hereby|redistribut|public domain|"
    r"General Public Licen[sc]e.{0,80}(?:published|publi[ée]|publicad|veröffentlicht|опубликован)|"
    r"transcriber|e-?text\b|e-?books?\b|newsletter|subscribe to|click (?:here|on)|sign (?:in|up) |log in |share this|"
    r"tous droits réservés|droits? d['’]auteur|conditions (?:générales|d['’]utilisation)|mentions légales|"
    r"alle rechte vorbehalten|urheberrecht|nutzungsbedingungen|datenschutz(?:erklärung|hinweis)|impressum|"
    r"todos los derechos|derechos de autor|aviso legal|términos de uso|todos os direitos|diritti riservati|"
    r"alle rechten voorbehouden|все права защищены|авторск\w+ прав|пользовательск\w+ соглашени|"
    r"tüm hakları saklıdır|telif hakkı|wszelkie prawa zastrzeżone|πνευματικ\w+ δικαι|"
    r"版权所有|版權所有|著作权|著作權|著作権|無断転載|青空文庫|저작권|무단 ?전재|جميع الحقوق محفوظة|حقوق النشر|"
    r"כל הזכויות שמורות|זכויות יוצרים|सर्वाधिकार सुरक्षित|कॉपीराइट|สงวนลิขสิทธิ์",
    re.IGNORECASE,
)
_POINTER = re.compile(
    r"^\W*(?:changed|new|added|deprecated|removed) in version|"
    r"^\W*(?:see (?:also|section|the|(?-i:[A-Z\"'_*]))|voir (?-i:[A-Z])|siehe|vgl|cf|véase|см\.|参见|參見|参照)\b|"
    r"^\W*(?:for (?:more|further) (?:information|details?|on)|note|warning|example)\b[^.]{0,60}:|"
    r"^\W*(?:table|figure|fig|page|chapter|section|part|chapitre|kapitel|abschnitt|abbildung|tabelle|capítulo|sección|"
    r"capitolo|hoofdstuk|rozdział|глава|раздел|рис|рисунок|таблица|κεφάλαιο|bölüm|şekil)\.?\s+[\divxlc]+\b|"
    r"^\W*第\s?[\d一二三四五六七八九十百]+\s?[章节節部回話话]|^\W*제\s?\d+\s?[장절부]|^\W*الفصل |^\W*פרק |^\W*अध्याय ",
    re.IGNORECASE,
)
_START = re.compile(r"\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG[^\n]*\n", re.IGNORECASE)
_END = re.compile(
    r"\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG|^End of (?:the )?Project Gutenberg|"
    r"^START: FULL LICENSE|\*\*\* ?START: FULL LICENSE",
    re.IGNORECASE | re.MULTILINE,
)
_SMALL_PRINT = re.compile(r"\*END\*? ?THE SMALL PRINT[^\n]*\n", re.IGNORECASE)


_REFERENCE = re.compile(r"\b\d+(?:\.\d+)+\s?(?:[,:]|节|節|절)?\s?[“\"«„「‘”]|第\s?\d+(?:\.\d+)*\s?[节節章]\s?[「“]")


def is_boilerplate(shown: str) -> bool:
    """Whether a sentence or a paragraph is about rights, terms or the web page that it stands on."""
    return _LEGAL.search(shown) is not None


def points_elsewhere(shown: str) -> bool:
    """Whether a sentence is a heading, or says where something else is written, by the title of a numbered section."""
    return _POINTER.match(shown) is not None or _REFERENCE.search(shown) is not None


def body(chunks: Sequence[str]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where a document begins and ends without a distributor's header and licence, each as (chunk, character)."""
    first, last = (0, 0), (len(chunks), 0)
    for i, chunk in enumerate(chunks):
        for mark in (_START, _SMALL_PRINT):
            if found := mark.search(chunk):
                first = (i, found.end())
        if (found := _END.search(chunk)) and (i, found.start()) > first:
            last = (i, found.start())
            break
    return first, last
