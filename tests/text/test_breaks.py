"""Where a text is cut, script by script; what always holds is tested with the splitter."""

import re
import unicodedata
from itertools import accumulate

import pytest
import regex

from datagen.text.punctuation import BRACKETS, CLAUSES, COMMAS, STOPS, WORD_SPACES
from datagen.text.splitter import split
from datagen.text.tokenizers import load
from tests.text.test_splitter import check_beginnings


def test_the_marks_are_those_of_unicode():
    marks = re.compile(rf"[{STOPS}{CLAUSES}{COMMAS}{WORD_SPACES}]")
    known = [chr(c) for c in range(0x110000) if regex.match(r"\p{Terminal_Punctuation}", chr(c))]
    assert [c for c in known if not marks.match(c)] == []
    stops = [c for c in known if regex.match(r"\p{Sentence_Terminal}", c)]
    assert [c for c in stops if not re.match(rf"[{STOPS}]", c)] == ["၊"]  # Burmese has it where others have a comma
    closing = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) == "Pe"]
    assert [c for c in closing if not re.match(rf"[{BRACKETS}]", c)] == []


@pytest.mark.parametrize(
    ("sentences", "space"),
    [
        (["यह एक वाक्य है।", "यह दूसरा वाक्य है॥", "क्या यह तीसरा है?"], " "),
        (["هل هذا سؤال؟", "هذه جملة أخرى.", "نعم!"], " "),
        (["یہ ایک جملہ ہے۔", "یہ دوسرا جملہ ہے۔", "کیا یہ سوال ہے؟"], " "),
        (["他说：“你好。”", "下一句很长，再见！", "「はい。」", "次の文。"], ""),
        (["ဒါက စာကြောင်း ဖြစ်တယ်။", "နောက်တစ်ခု။"], " "),
        (["នេះជាប្រយោគ។", "មួយទៀត៕"], " "),
        (["ይህ ዓረፍተ ነገር ነው።", "ይህ ጥያቄ ነው፧"], ""),
        (["Սա նախադասություն է։", "Եվ սա։"], " "),
        (["Bonjour ! »", "« Qui est là ? »", "Voilà."], " "),
        (["»Hallo«, sagte er.", "„Ja.“", "»Nein.«", "Gut."], " "),
        (["He knew it.[12]", "(So did she.)", 'They said "yes."', "**It is so.**"], " "),
    ],
)
def test_sentences_stay_whole_with_what_closes_behind_them(sentences, space):
    text = space.join(sentences * 12)
    ends = {*accumulate(len(s) + len(space) for s in sentences * 12)}
    spans = check_beginnings(text, load("embedded"), 48)
    assert len(spans) > 3
    assert all(span.end + len(space) in ends for span in spans)


@pytest.mark.parametrize(
    ("parts", "separator"),
    [
        (["одно", "второе"], ", "),
        (["这是一个", "非常长的"], "、"),
        (["واحد", "اثنان"], "، "),
        (["واحد", "اثنان"], "؛ "),
        (["አንድ", "ሁለት"], "፣"),
        (["word", "other"], " "),
        (["བོད", "ཡིག"], "་"),
        (["ประโยค", "ยาว"], "​"),
        (["minified", "code"], ";"),
    ],
)
def test_parts_are_cut_behind_their_separator(parts, separator):
    text = separator.join(parts * 60)
    spans = check_beginnings(text, load("embedded"), 32)
    assert len(spans) > 3
    assert {text[a:b].strip(separator).split(separator)[0] for a, b, _ in spans} <= set(parts)
    assert all(
        text[a:b].endswith((separator.rstrip() or tuple(parts), *parts)) for a, b, _ in spans if separator != " "
    )


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r", "\n \t\n", "\u2029", "\x85\x85", "\n\u2028\n"])
def test_paragraphs_end_in_many_ways(end):
    text = end.join(["It has two lines.\r\nHere it ends."] * 9)
    assert {text[a:b].split()[0] for a, b, _ in check_beginnings(text, load("embedded"), 24)} == {"It"}


def test_a_line_that_ends_a_sentence_is_a_better_place_than_any_line():
    text = "A wrapped line that goes on\nin the next one, and there it ends.\n" * 20
    assert {text[a:b].split()[0] for a, b, _ in check_beginnings(text, load("embedded"), 40)} == {"A"}


def test_quotation_marks_that_open_begin_chunks():
    text = "»Ja, das ist so«, sagte er und ging.\n\n" * 12
    assert len({a for a, _, _ in check_beginnings(text, load("embedded"), 32)}) == 12
    assert {text[a] for a, _, _ in split(text, load("embedded"), 32)} == {"»"}


def test_what_ends_a_block_of_code_stays_with_it():
    text = "int f() {\n  return 1;\n}\n\nint g() {\n  return 2;\n}\n\n" * 9
    assert all(text[a:b].startswith("int") and text[a:b].endswith("}") for a, b, _ in split(text, load("embedded"), 40))


def test_a_run_of_marks_that_fits_stays_with_the_word_before():
    limit = 40
    text = "x" * 90 + "." * 60 + "y" * 90
    assert 25 < load("embedded").count(["x" + "." * 60])[0] < limit
    assert {text[a] for a, _, _ in check_beginnings(text, load("embedded"), limit)} == {"x", "y"}
