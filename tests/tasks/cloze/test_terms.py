from __future__ import annotations

import pytest

from datagen.tasks.cloze import frequency, thai
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.guessable import guessability
from datagen.tasks.cloze.options import options
from datagen.tasks.cloze.terms import find

FILLER = {
    "en": "The house of the man was in the town, and it was old. A boat of the town lay in the bay, and it was new.",
    "fr": "La maison de la ville est grande et les enfants de la ville sont dans la cour de l’école avec les autres.",
}


def terms(sentence: str, language: str = "en") -> dict[str, str]:
    """The terms found in a sentence of a document of that language, with their kinds."""
    doc = DocumentIndex.build([FILLER[language]] * 6 + [sentence])
    return {t.text: t.kind for t in find(sentence, doc)}


def test_names_are_runs_of_capitals_inside_a_sentence():
    assert terms("Then the man from Bergen met Martin Chuzzlewit in the town.") == {
        "Bergen": "name",
        "Martin Chuzzlewit": "name",
    }
    assert terms("Yesterday it was said of Charles H. Kelly that he was old.") == {"Charles H. Kelly": "name"}


def test_a_pronoun_after_an_initial_is_no_name():
    found = terms("The boat of Milford, N.H. It was in the town, and the man was in Milton.")
    assert found == {"Milford": "name", "Milton": "name"}


def test_a_capital_that_any_word_would_have_makes_no_name():
    assert "Whenever" not in terms('Whenever it was late, he said: "Perhaps the town is in the bay."')
    assert "Perhaps" not in terms('Whenever it was late, he said: "Perhaps the town is in the bay."')


def test_titles_articles_and_possessives_stay_outside_the_blank():
    assert terms("It was the boat of Captain Cuttle and of Mrs. Todgers in the bay.") == {
        "Cuttle": "name",
        "Todgers": "name",
    }
    assert terms("It was in Micawber's house that the man of the town was.") == {"Micawber": "name"}
    assert terms("Les enfants de la ville sont avec l’aubergiste d’Alkmaar dans la cour.", "fr") == {
        "Alkmaar": "name",
        "aubergiste": "noun",
    }


def test_a_name_that_goes_on_with_a_number_is_no_name():
    assert terms("It was in the town that the man of Quintal 2 met Chuzzlewit of the NKV 3166 boat.") == {
        "Chuzzlewit": "name"
    }


def test_what_someone_says_is_no_title():
    said = terms('"Quaint Zebedee Lodger," said the man of the town, "and it was old."')
    assert "title" not in said.values()
    assert terms('It was in "Quaint Zebedee Lodger," said the man of the town.') == {"Quaint Zebedee Lodger": "title"}


@pytest.mark.parametrize(
    ("word", "code", "misspelt"),
    [
        ("mechansim", "en", True),
        ("nechanism", "en", True),
        ("representaion", "en", True),
        ("mechanism", "en", False),
        ("chrysalis", "en", False),
        ("λαγαριασμός", "el", True),
        ("λογαριασμός", "el", False),
    ],
)
def test_misspelt_words(word: str, code: str, misspelt: bool):
    assert frequency.is_misspelt(word, code) is misspelt


def test_a_misspelt_word_is_not_asked_for():
    assert "mechansim" not in terms("It was in the house of the town that the mechansim of the old boat was new.")


def test_systems_and_languages_that_everyone_knows_are_no_names():
    assert terms("In the town the boat of the man was written in Python and Unicode on Linux.") == {}


def test_abbreviations_that_everyone_knows_are_not_asked_for():
    assert terms("It was in the house of the town that the DNS of it was with the TLB of the man.") == {"TLB": "name"}


def test_one_of_a_row_of_numbered_names_is_guessed():
    assert guessability("sda2", "They are named sda1, and sda3.", "en") == 1.0
    assert guessability("sda2", "They are named sdb1, and sda9.", "en") < 0.3


@pytest.mark.parametrize(
    ("term", "blanked", "code"),
    [
        ("Линус Торвальдс", "Это был финский студент по имени _____ (Linus Torvalds), и он жил в городе.", "ru"),
        ("Torvalds", "Это был финский студент по имени Линус Торвальдс (Linus _____), и он жил в городе.", "ru"),
        ("Input Validation", "التحقق من صحة المدخلات (_____) هو التعرف على ما كتبه المستخدم.", "ar"),
        ("Montpellier", "وكانت المنشأة الأخرى في مون-بلييه (_____)، وهي مدينة بعيدة.", "ar"),
        ("Canonicalization", "对于标头和本体的规范（_____）能够容忍温和的修改。", "zh"),
        ("被造物", "私は神様が他の_____（ひぞうぶつ）とともに私を作ったと信じています。", "ja"),
        ("Mapping", "It is an Object-relational _____ (ORM) of the town.", "en"),
        ("Denial", "هجمات الحرمان من الخدمة (_____ of Service (DoS) Attacks) تغرق التطبيق بعدد كبير.", "ar"),
        ("Denial", "It is the _____ of Service (DoS) of the town.", "en"),
        ("Cross Site Scripting", "It is a kind of _____ (XSS) in the town.", "en"),
        ("Cross-Site Scripting", "حقن تعليمات جافا سكريبت (_____ - XSS) هو من الثغرات الأمنية.", "ar"),
        ("تواقيع", "استخدام الأدوات الآلية التي تعتمد على _____ نقاط الضعف (vulnerability signatures).", "ar"),
        ("Esc", "보이지 않는 상태에서 _____을 누르거나 다른 옵션을 선택할 수 있습니다.", "ko"),
        ("recursively", "يقوم الأمر بإضافة جميع الملفات ضمنه بشكل تعاودي _____.", "ar"),
    ],
)
def test_what_stands_there_in_another_script_is_guessed(term: str, blanked: str, code: str):
    assert guessability(term, blanked, code) == 1.0


@pytest.mark.parametrize(
    ("term", "blanked", "code"),
    [
        ("autopkgtest", "自动化软件包质量测试（_____）未出现任何异常。", "zh"),  # a name, and no translation
        ("OFTC", "Задавайте вопросы в IRC-канале (debian-boot в сети _____) или в списке рассылки.", "ru"),
        ("Tewkesbury", "It was the town (_____) of the old man.", "en"),
        ("Tewkesbury", "It was in _____ (ABC) that the old man lived.", "en"),
        ("mygrit", "سيقوم هذا الأمر بذات الأمر ولكن سيتم وضع المشروع بمجلد جديد باسم _____.", "ar"),
        ("Subversion", "اذا كنت قد استخدمت أحد أنظمة إدارة الإصدارات الأخرى مثل _____ ستلاحظ ذلك.", "ar"),
    ],
)
def test_what_a_bracket_adds_is_asked_for(term: str, blanked: str, code: str):
    assert guessability(term, blanked, code) < 0.3


def test_a_name_is_asked_for_with_all_its_signs():
    assert "GTK" not in terms("It was in the house of the town that the GTK+ of it was with the man.")


def test_what_begins_behind_a_dash_has_its_capital_there():
    assert terms("Hyper Text – Scattered, a thing of the man of the town that was in the house of it.") == {}
    assert "Quennell" in terms("It was a man of the town – Quennell – who was in the house of it.")


def test_an_option_is_no_identifier():
    assert "qTEST_HOST" not in terms("In the house of the town it was the value of tool -qTEST_HOST that was in it.")
    assert terms("In the house of the town it was the value of TEST_HOST that was in it.") == {
        "TEST_HOST": "identifier"
    }


def test_titles_stand_between_marks():
    found = terms("He sang 'Yankee Doodle' and _Love Laughs at Locksmiths_ in the house of the town.")
    assert found == {"Yankee Doodle": "title", "Love Laughs at Locksmiths": "title"}
    assert terms("その町の図書館には《紅楼夢》と「夜明け前」という古い本がある。") == {
        "紅楼夢": "title",
        "夜明け前": "title",
    }


def test_numbers_of_two_digits_that_count_or_date():
    found = terms("It was built in 1834 for 2,500 pounds, see page 12 and [34] of it, and 7 men or the 1780-1840 lot.")
    assert found == {"1834": "number", "2,500": "number"}
    assert terms("その橋は1987年に町の人々によって作られたという。") == {"1987": "number"}


def test_identifiers_of_technical_text():
    found = terms(
        'The method "__getattr__()" is called and "StopIteration" or `sys.last_traceback` is the value of it.'
    )
    assert found == {"__getattr__": "identifier", "StopIteration": "identifier", "sys.last_traceback": "identifier"}


def test_nouns_follow_an_article():
    assert terms("The man of the town was in the vestibule, and quickly wandered to the old bay.") == {
        "vestibule": "noun"
    }
    assert terms("Il est dans la soupente de la ville et il la regardait avec les autres.", "fr") == {
        "soupente": "noun"
    }


def test_what_stands_all_over_the_document_is_no_term():
    doc = DocumentIndex.build(["The cathedral of Bergen was in the town."] * 5)
    assert find("The man of the town was in the cathedral of Bergen.", doc) == []


def test_english_nouns_may_have_a_modifier():
    assert terms("The man of the town was in a neat cassock and it was new.") == {"cassock": "noun"}
    assert terms("The man of the town saw that the import exists and it was new.") == {}
    assert terms("The important old man of the town was in the interactive new house.") == {}
    assert terms("Then two boys in a row terminate the boat of the town.") == {}


@pytest.mark.parametrize(
    ("sentence", "term"),
    [
        ("The town was in the bay, and its groupoidal men were old.", "groupoidal"),
        ("In the town there were monoids and boats, and it was new.", "monoids"),
        ("It was often coinductive in the bay, and it was old.", "coinductive"),
    ],
)
def test_technical_words_are_asked_for_wherever_they_stand(sentence: str, term: str):
    assert terms(sentence) == {term: "noun"}


@pytest.mark.parametrize(
    "sentence",
    [
        "The man of the town would deduplicate all of it.",  # verbs
        "In the bay the boat obviates a house of the town.",
        "The man of the town was serializing or instantiated or generatively old.",
        "The man of the town was in the recieved boat.",  # a misspelt word
        "In the town the-groupoidal man was old, and groupoidal- in the bay.",  # a part of a word
    ],
)
def test_verbs_and_what_is_made_of_them_are_not_asked_for(sentence: str):
    assert terms(sentence) == {}


def test_what_is_cut_off_and_half_a_handle_are_not_asked_for():
    assert terms("In the town the man of the bay met Halvorsen… and it was old.") == {}
    assert terms("In the town the man of the bay met @Halvorsen News and it was old.") == {}


@pytest.mark.parametrize(
    ("term", "rest"),
    [
        ("id2label", "The man of the town sets and label2id of it."),
        ("Software Bill of Materials", "A (SBOM) of the town."),
        ("my_project", "It is called in the town."),
        ("myclass", "It is called in the town."),
    ],
)
def test_what_is_told_or_made_up_is_guessed(term: str, rest: str):
    assert guessability(term, rest, "en") == 1
    assert guessability("mycelium_count", rest, "en") < 0.35


def test_the_first_word_of_a_verse_is_no_name():
    def asked(sentence: str) -> set[str]:
        doc = DocumentIndex.build([FILLER["en"]] * 6 + [sentence])
        return {option.term for option in options(doc, 6)}

    verse = "It was the man of the town who came to the bay in the long dark night of winter and the storm,\n"
    assert "Quelling" not in asked(verse + "Quelling the sea of the harbour that was at the door of the old house.")
    assert "Quelling" in asked(verse + "and Quelling saw the harbour that was at the door of the old house.")


def test_a_sentence_that_stands_twice_in_a_chunk_is_not_asked_for():
    sentence = "It was the keeper Chuzzlewit who came to the harbour of the island in the dark night of the storm."
    once, twice = (DocumentIndex.build([FILLER["en"]] * 6 + [text]) for text in (sentence, f"{sentence} {sentence}"))
    assert [o.term for o in options(once, 6)] == ["Chuzzlewit"]
    assert not list(options(twice, 6))


def test_abbreviations_in_the_plural_are_abbreviations():
    assert guessability("SMEs", "It is for the _____ of the town.", "en") == guessability("SME", "It is _____.", "en")


def test_a_unit_behind_its_number_is_not_asked_for():
    assert "ZiB" not in terms("It was in the house of the town that the disk of the man was of 8 ZiB and it was new.")
    assert "ZiB" in terms("It was in the house of the town that the disk of the man was of a ZiB and it was new.")


@pytest.mark.parametrize(
    ("sentence", "hero", "forms"),
    [
        ("Старый человек долго сидел у окна и смотрел на {}, а потом ушёл к морю.", "Хвостикова", "Хвостиков пришёл."),
        ("Старый человек долго писал письмо {}, а потом ушёл к морю.", "Глафире Егоровне", "Глафира Егоровна пришла."),
        (
            "Palvelija kosketti isäntäänsä {} ja vannoi valan, kuten hän oli.",
            "Arfaksadia",
            "Arfaksad tuli.",
        ),
    ],
)
def test_whoever_stands_all_over_the_document_in_other_forms_is_not_asked_for(sentence: str, hero: str, forms: str):
    asked = sentence.format(hero)
    rare = DocumentIndex.build([asked, forms, *[""] * 30])
    common = DocumentIndex.build([asked, *[forms] * 6, *[""] * 30])
    assert hero in [term.text for term in find(asked, rare)]
    assert hero not in [term.text for term in find(asked, common)]


def test_thai_marks_without_a_letter_are_no_name():
    assert list(thai.names("“" + "\u0e31" * 12 + "”")) == []
