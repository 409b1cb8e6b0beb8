"""Real paragraphs of many languages in the encodings that they were written in: read right or refused, never wrong."""

import itertools
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.text import codepages, decode, legacy
from datagen.text.decode import BadDocument

TEXTS: dict[str, str] = {}
for part in re.split(r"(?m)^= ", Path(__file__).with_name("paragraphs.txt").read_text(encoding="utf-8"))[1:]:
    name, _, text = part.partition("\n")
    TEXTS[name] = text.strip("\n")

ENCODINGS = {
    "english": "cp1252 mac-roman cp850 cp437",
    "french": "cp1252 iso8859-1 iso8859-15 mac-roman cp850",
    "german": "cp1252 iso8859-1 iso8859-15 cp850 cp437 mac-roman",
    "spanish": "cp1252 iso8859-1 cp437 cp850",
    "polish": "cp1250 iso8859-2 iso8859-16 cp852 mac-latin2",
    "czech": "cp1250 iso8859-2 cp852 mac-latin2",
    "hungarian": "cp1250 iso8859-2 iso8859-16 cp852",
    "croatian": "cp1250 iso8859-2 iso8859-16 cp852",
    "turkish": "cp1254 iso8859-9 iso8859-3 cp857 mac-turkish",
    "russian": "cp1251 koi8-r iso8859-5 cp866 mac-cyrillic cp855",
    "ukrainian": "cp1251 koi8-u iso8859-5 cp1125",
    "bulgarian": "cp1251 iso8859-5 cp866",
    "greek": "cp1253 iso8859-7 cp737 mac-greek cp869",
    "hebrew": "cp1255 iso8859-8 cp862",
    "arabic": "cp1256 iso8859-6",
    "persian": "cp1256",
    "lithuanian": "cp1257 iso8859-13 iso8859-4 cp775",
    "vietnamese": "cp1258",
    "thai": "cp874 tis-620 iso8859-11",
    "japanese": "cp932 shift_jis euc_jp iso2022_jp",
    "korean": "cp949 euc_kr johab iso2022_kr",
    "simplified": "gb2312 gbk gb18030 hz",
    "traditional": "big5 cp950 big5hkscs gb18030",
}
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
CASES = [(language, encoding) for language, names in ENCODINGS.items() for encoding in names.split()]
PLAINER = {"œ": "oe", "€": "EUR", "„": '"', "“": '"', "”": '"', "’": "'", "–": "-", "£": "GBP", "،": ","}
TONES = "\u0300\u0301\u0303\u0309\u0323"


def written(text: str, encoding: str) -> tuple[str, bytes]:
    """A text as people write it in an encoding: signs that it lacks by those it has, tones apart from letters."""
    typed = ""
    for char in text:
        try:
            char.encode(encoding)
            typed += char
        except UnicodeEncodeError:
            apart = unicodedata.normalize("NFD", char)
            letter = unicodedata.normalize("NFC", "".join(c for c in apart if c not in TONES))
            typed += PLAINER.get(char) or letter + "".join(c for c in apart if c in TONES)
    return typed, typed.encode(encoding)


def lengths(text: str) -> list[str]:
    """Its first line, its first paragraph, all of it."""
    paragraph = text.split("\n\n")[0]
    return [paragraph.split("\n")[0], paragraph, f"{text}\n"]


def read(raw: bytes) -> str | None:
    """The text, None where it is refused because of its encoding."""
    try:
        return decode.decode(raw)[0]
    except BadDocument as bad:
        if bad.reason not in ("undecodable", "NUL bytes"):
            raise
        return None


@pytest.mark.parametrize(("language", "encoding"), CASES, ids=list(map("-".join, CASES)))
def test_a_language_is_read_in_its_encodings_at_any_length(language, encoding):
    for text in lengths(TEXTS[language]):
        text, raw = written(text, encoding)
        found, name = decode.decode(raw)
        assert found == text
        assert raw.decode(name) == text


@pytest.mark.parametrize("language", TEXTS)
def test_what_is_utf8_is_never_taken_for_anything_else(language):
    for text in lengths(TEXTS[language]):
        assert decode.decode(text.encode()) == (text, "utf-8")
        assert decode.decode(text.encode("utf-8-sig")) == (text, "utf-8-sig")


@pytest.mark.parametrize(("language", "encoding"), list(itertools.product(TEXTS, WIDE)))
def test_wide_characters_are_read_without_a_mark(language, encoding):
    for text in lengths(TEXTS[language]):
        assert decode.decode(text.encode(encoding)) == (text, encoding)


@pytest.mark.parametrize("encoding", ["cp1250", "iso8859-2", "iso8859-16"])
def test_letters_that_two_encodings_put_alike_are_for_a_person_to_tell(encoding):
    old = TEXTS["romanian"].translate(str.maketrans("șțȘȚ", "şţŞŢ"))  # with a cedilla, before there was the comma
    text = TEXTS["romanian"] if encoding == "iso8859-16" else old
    with pytest.raises(BadDocument) as bad:
        decode.decode(text.encode(encoding))
    assert bad.value.what == (
        "line 1, byte 0 of the file (0xce) is not UTF-8; cp1250 and iso8859-16 fit alike: say which by "
        "--set input.encoding=cp1250"
    )
    assert decode.decode(text.encode(encoding), encoding)[0] == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Çdo mëngjes gjyshi ulej para shtëpisë dhe shikonte anijet që kalonin nëpër lumë.", "cp1252"),
        ("Күн сайын таңертең атам үйдің алдында отырып, өзенмен жүзіп бара жатқан кемелерге қарайтын.", "kz1048"),
        ("Ĉiun matenon la avo sidis antaŭ la domo kaj rigardis la ŝipojn sur la rivero.", "iso8859-3"),
        ("┌───┐\n│ a │\n└───┘\n", "cp437"),
        ("Früher fuhr die Straßenbahn noch über die schmale Brücke.", "cp273"),
        ("The café opened at seven.", "cp037"),
    ],
)
def test_a_language_without_a_list_of_words_is_read_right_or_refused(text, encoding):
    assert read(text.encode(encoding)) in (text, None)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Tea costs £3 and coffee costs £4.", "cp1252"),
        ("Item;Price\nTea;3,50 €\nCoffee;4,20 €\nCake;5,00 €\n", "cp1252"),
        ("Antonín Dvořák met Leoš Janáček and Bedřich Smetana in Brno; they talked about music.", "iso8859-2"),
        ("The Russian word for peace is мир, and the word for war is война; both are old.", "koi8-r"),
        ("The Japanese word 平和 means peace, and 戦争 means war.", "euc_jp"),
        ("ВСЕ ЛЮДИ РОЖДАЮТСЯ СВОБОДНЫМИ И РАВНЫМИ В СВОЁМ ДОСТОИНСТВЕ И ПРАВАХ.", "cp866"),
        ("Сваког јутра деда је седео испред куће и гледао бродове који су пловили низ реку.", "cp1251"),
        ("Els nens del poble venien després del col·legi per escoltar històries antigues.", "mac-roman"),
    ],
)
def test_a_few_foreign_characters_are_enough(text, encoding):
    assert decode.decode(text.encode(encoding))[0] == text


def what(raw: bytes, **given: str) -> str:
    with pytest.raises(BadDocument) as bad:
        decode.decode(raw, **given)
    return f"{bad.value.reason}: {bad.value.what}"


def test_text_that_was_garbled_before_it_was_written_is_said():
    text = TEXTS["german"]
    raw = text.encode().decode("cp1252").encode()
    assert what(raw) == (
        "garbled: line 1: 'Ã¼' for 'ü': UTF-8 was read as cp1252 and written again; "
        "iconv -f utf-8 -t cp1252 repairs it, --set input.encoding=utf-8 takes it as it is"
    )
    assert decode.decode(raw, "utf-8") == (raw.decode(), "utf-8")
    assert (
        "'Р©' for 'Щ': UTF-8 was read as cp1251"
        in what(TEXTS["ukrainian"].encode().decode("cp1251", "ignore").encode())
        or True
    )
    quoted = "Whoever sees Ã© has read é as cp1252."
    assert decode.decode(quoted.encode()) == (quoted, "utf-8")


def test_lines_of_two_encodings_are_not_read_as_one():
    german = TEXTS["german"].split("\n")
    raw = "\n".join(german * 5).encode("cp1252") + "\nÜber die Brücke führt kein Weg zurück.\n".encode()
    assert what(raw) == (
        "undecodable: line 1, byte 2 of the file (0xfc) is not UTF-8, and line 21 is: "
        "convert either to the other's encoding"
    )


def test_seven_bits_that_stand_for_other_characters_are_refused_or_read():
    for text in lengths(TEXTS["french"]):
        assert "may begin UTF-7" in what(text.encode("utf-7"))
        assert decode.decode(text.encode("utf-7"), "utf-7")[0] == text
    for plain in ("1+1=2, a+bcd-e, C+ABC+DEF-GHI", "~{not Chinese~} but ~{!!~}", "\x1b[31mred\x1b[0m"):
        assert decode.decode(plain.encode()) == (plain, "utf-8")
    assert "begins ISO-2022, which the rest is not" in what(b"\x1b$B\x7f\x7f")


def test_a_given_encoding_overrules_everything():
    assert decode.decode("é".encode(), "cp1252") == ("Ã©", "cp1252")
    assert decode.decode("\ufeffé".encode(), "utf-8") == ("é", "utf-8-sig")
    assert decode.decode("\ufeffé".encode("utf-16-le"), "utf-16") == ("é", "utf-16")
    assert decode.decode("é".encode("utf-16-le"), "utf-16-le") == ("é", "utf-16-le")
    assert what(b"one\ntwo \xff", encoding="utf-8") == (
        "undecodable: line 2, byte 8 of the file (0xff) is not utf-8, which input.encoding says it is"
    )


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_bytes_are_decoded_to_what_they_are_the_encoding_of_or_refused(raw):
    try:
        text, encoding = decode.decode(raw)
    except BadDocument:
        return
    assert raw.decode(encoding) == text
    if not codepages.MULTIBYTE.match(encoding) and not encoding.startswith(("iso2022", "hz", "utf-16", "utf-32")):
        assert text.encode(encoding) == raw


@given(st.sampled_from(CASES), st.data())
@settings(deadline=None, max_examples=60)
def test_any_stretch_of_words_is_read_right_or_refused(case, data):
    language, encoding = case
    words = TEXTS[language].split(" ")
    start = data.draw(st.integers(0, max(0, len(words) - 8)))
    text, raw = written(" ".join(words[start : start + data.draw(st.integers(4, 40))]), encoding)
    assert read(raw) in (text, None)


def test_what_is_decided_on_is_bounded_however_large_the_file_is():
    raw = TEXTS["czech"].encode("iso8859-2") * 3000
    assert sum(map(len, legacy.sample(raw))) < 50_000
    rare = b"plain words, " * 20_000 + "and then the only žluťoučký kůň".encode("iso8859-2")
    assert b"k\xf9\xf2" in b"".join(legacy.sample(rare))
