"""Halves of words, two words run together, and documents whose letters a PDF's fonts do not tell."""

from __future__ import annotations

import random

import pytest

from datagen.tasks.cloze.compose import Cloze
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.options import options
from datagen.tasks.cloze.rules import Limits, check
from datagen.tasks.cloze.terms import find
from datagen.tasks.cloze.torn import torn

RUSSIAN = "Смотритель маяка написал длинное письмо о том, как буря разбила окна, и отправил {} в город у моря."
KOREAN = "오래된 등대는 여름에 {} 에서 온 석공이 지었고 오랫동안 바다 위의 절벽에 서 있었다."


@pytest.mark.parametrize(
    ("term", "blanked", "code", "elsewhere"),
    [
        ("USBклавиатуру", RUSSIAN.format("_____"), "ru", ""),
        ("Tαδε", "Ο παλιός φύλακας του φάρου είδε το _____ και έγραψε ένα γράμμα.", "el", ""),
        ("ASVS27002", "در گذشته، بر اساس الزامات _____ مسدودکردن چند نشست همزمان اجباری بود.", "fa", "ASVS"),
        ("इसतरह", "वे लोग _____ का काम कर सकते हैं और वह घर में थे।", "hi", ""),
        ("본값", "시스템은 기 _____ 으로 두고 사용하는 키만 허용합니다.", "ko", "기본값"),
        ("포판", "이 코드명의 목적은 데비안 배 _____의 미러링을 더 쉽게 만드는 것입니다.", "ko", "배포판을"),
        ("thermo", "The keeper had a _____ dynamics of his own in the tower.", "en", "thermodynamics"),
    ],
)
def test_a_term_that_is_no_whole_word(term: str, blanked: str, code: str, elsewhere: str):
    assert torn(term, blanked, code, DocumentIndex.build([elsewhere, ""]))


@pytest.mark.parametrize(
    ("term", "blanked", "code"),
    [
        ("Кострома", RUSSIAN.format("_____"), "ru"),
        ("ppc64el", "Debian runs on the _____ of the island.", "en"),
        ("RFC", "It is the _____ 2822 of the island.", "en"),
        ("muse", "It was a _____ of the island who sang.", "en"),  # no half of "amuse"
        ("코스트로마", KOREAN.format("_____"), "ko"),
        ("コンソール画面", "それは_____で見える。", "ja"),
    ],
)
def test_a_whole_word_is_asked_for(term: str, blanked: str, code: str):
    assert torn(term, blanked, code, DocumentIndex.build([blanked.replace("_____", term), ""])) is None


def test_the_rules_reject_a_half_of_a_word():
    sentence = "오래된 등대는 여름에 크라스 노야르스크에서 온 석공이 지었고 오랫동안 바다 위의 절벽에 서 있었다."
    doc = DocumentIndex.build([sentence, "크라스노야르스크에서 온 사람은 등대에서 살았다."])
    assert "노야르스크" not in [term.text for term in find(sentence, doc)]
    shown = sentence.replace("노야르스크", "_____")
    row = Cloze("Which words are missing?\n1. " + shown, "노야르스크", [0], ["노야르스크"], [sentence], [0])
    assert check(row, doc, Limits(min_evidence=1)).reason == "a term may be a part of a word, or two"


def test_a_document_with_lost_letters_is_not_asked_about():
    whole = "بنى المنارة القديمة في الصيف رجل جاء من مدينة كوستروما البعيدة ثم بقيت على الصخرة فوق البحر سنوات.\n\n"
    words = whole.split()
    lone = random.Random(0)
    torn_text = " ".join(f"{w[:2]} ر {w[3:]}" if lone.random() < 0.1 else w for w in words * 20)
    assert "كوستروما" in [o.term for o in options(DocumentIndex.build([whole, ""]), 0)]
    doc = DocumentIndex.build([whole, torn_text])
    assert doc.torn
    assert not list(options(doc, 0))
    english = (
        "The keeper of the lighthouse came to the island from the town of Tewkesbury in the winter of the year.\n\n"
    )
    assert [o.term for o in options(DocumentIndex.build([english, torn_text]), 0)] == ["Tewkesbury"]
    row = Cloze(f"1. {whole.strip().replace('كوستروما', '_____')}", "كوستروما", [0], ["كوستروما"], [whole.strip()], [0])
    assert check(row, DocumentIndex.build([whole, ""]), Limits(min_evidence=1)).passed
    assert "torn letters" in check(row, doc, Limits(min_evidence=1)).detail
