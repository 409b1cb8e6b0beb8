import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.text import boilerplate, licences, listings, repeats
from datagen.text.boilerplate import ELSEWHERE, FRAME, LICENCE, LISTED, NOTICE, REPEATED, flags
from datagen.text.splitter import split
from datagen.text.tokenizers import load

ROOT = Path(__file__).parents[2]
BOOKS = ROOT.parent / "shared" / "data" / "books"
LICENCES = Path("/usr/share/common-licenses")  # of Debian's base-files

# Prose about licences, in which their words are frequent and their formulas are named.
ABOUT_LICENCES = [
    "The debate turned on one clause. A licence that lets anyone copy and modify a program, said the "
    "maintainers, is of "
    "no use if the next distributor may take those rights away again; and so the General Public License asks "
    "that whoever "
    "passes the program on passes on the freedom, too. Critics answered that a company would rather write the "
    "code anew "
    "than publish its own. Both were right in part. Of the forty firms that were asked in 1998, eleven had "
    "written anew, "
    "nine had published, and the others had never read the licence at all.",
    "What does 'as is' mean? In the sale of horses it meant that the buyer had seen the animal and took it with its "
    "faults. Software borrowed the phrase in the seventies, and with it the shouting capitals, since American law asks "
    "that a disclaimer of warranties be conspicuous. Judge Easterbrook did not think much of the capitals: lawyers who "
    "think their caps lock keys are instant make-conspicuous buttons are deluded, another court wrote later.",
    "Copyright came to England in 1710 with the Statute of Anne. Printers had asked for it, and authors got it: for "
    "fourteen years a book was its author's, and for fourteen more if he was still alive. Before that the Stationers' "
    "Company had decided who was permitted to print what, and its members had bought and sold their copies among each "
    "other as if they were land. The conditions of the new law were simple: a notice in the register, and nine copies "
    "for the libraries of the universities.",
    "She signed the lease in March. The landlord should keep the roof in repair, it said, and the tenant was "
    "liable for "
    "the windows; neither party was to end it before the third year. When the storm came in November, they found that "
    "nobody had thought of the chimney. The lawyer read the terms twice, shook his head, and recommended that "
    "they drink "
    "a cup of tea together.",
    "The MIT license fits on one page. It begins by granting permission, free of charge, and ends by refusing any "
    "liability; in between there is one condition, that the notice be kept. Most people who use it have never thought "
    "about what sublicensing is. The Apache license has nine sections, and the third, on patents, is why it was "
    "written: "
    "in 2004 several large companies would not contribute to projects whose contributors could sue the users later.",
]
# Shapes that are near those of listings.
NO_LISTINGS = [
    "Population of the town\n\nYear   Men   Women\n1801   210   198\n1811   260   255\n1821   301   290\n1831   "
    "377   360\n"
    "1841   402   399\n1851   450   444\n",
    "apple\nbread\ncheese\ndates\neggs\nfigs\ngrapes\nhoney\nice\njam\n",
    "The sea was still,\nThe wind was low,\nThe ship went on\nWhere ships must go;\nAnd home we came,\nAnd up the hill,"
    "\nAnd back we looked:\nThe sea was still.\n",
    "In 1901 they built the bridge.\n\nIn 1902 they built the road, which took them two years.\n\nIn 1904 the "
    "railway came."
    "\n\nIn 1911 it went again.\n\nIn 1912 the bridge fell down.\n",
    "Ingredients:\n\n- flour, 500 g\n- butter, 250 g\n- sugar, 125 g\n- eggs, 2\n- milk, 1 l\n- salt\n- yeast, 40 g\n"
    "- raisins, 100 g\n",
    "Go to the menu and choose Search.\nPress Home to see the first page, Next for the second.\nUp brings you back.\n"
    "Then close the window, open the Help, and read what it says about printing.\nThat is all.\n",
    "--list\n    lists them\n--contents\n    what is in one\n--status\n    how it is\n--search\n    looks for one\n"
    "--help\n    helps\n--print\n    prints\n",
    "std::map<int, int> a = {1, 2};\nfoo(a, 3);\nbar(a, 4);\nint x = baz(a, 5),\n y = 6,\n z = 7;\ncall(x, "
    "8);\ncall(y, 9);\n",
]
COUNTRIES = ("Albania", "Andorra", "Austria", "Belgium", "Bosnia", "Croatia", "Cyprus", "Denmark", "Estonia")
NUMBERS = (280, 8, 890, 117, 320, 391, 92, 59, 137)
TABLES = {
    "figures": "\n".join(f"{name}: {n}" for name, n in zip(COUNTRIES, NUMBERS, strict=True)),
    "columns": "\n".join(f"{name:20}{n}" for name, n in zip(COUNTRIES, NUMBERS, strict=True)),
    "two columns": "\n".join(f"{name}, {n}, {n + 3}" for name, n in zip(COUNTRIES, NUMBERS, strict=True)),
    "falling": "\n".join(f"{name}, {n}, {i * i}" for i, (name, n) in enumerate(zip(COUNTRIES, NUMBERS, strict=True))),
    "ranges": "\n".join(f"{name}: {n}-{n + 40}" for name, n in zip(COUNTRIES, NUMBERS, strict=True)),
    "years": "\n".join(f"{name} Smith, born in Leeds, {1700 + 11 * i}" for i, name in enumerate(COUNTRIES)),
    "lives": "\n".join(
        f"{name} Smith, {1700 + 11 * i}" + ("-1790" if i % 2 else "") for i, name in enumerate(COUNTRIES)
    ),
}
TITLES = (
    "The Harbour",
    "A Letter",
    "Winter",
    "The Clerk of the Works",
    "What the Miller Said",
    "Home",
    "An End",
    "After",
)
CONTENTS = {
    "leaders": "\n".join(f"{t} {'.' * (40 - len(t))} {7 + 12 * i}" for i, t in enumerate(TITLES)),
    "dots apart": "\n".join(f"{t} {'. ' * 12}{7 + 12 * i}" for i, t in enumerate(TITLES)),
    "headed": "CONTENTS\n\n" + "\n".join(f"{t:40}{7 + 12 * i}" for i, t in enumerate(TITLES)),
    "chapters": "\n".join(f"{i + 1}. {t:40}{7 + 12 * i}" for i, t in enumerate(TITLES)),
    "no pages": "Contents\n\n" + "\n".join(f"Chapter {i + 1}. {t}" for i, t in enumerate(TITLES)),
    "French": "Table des matières\n\n"
    + "\n".join(f"Chapitre {i + 1} — {t}\t{7 + 12 * i}" for i, t in enumerate(TITLES)),
}
WORDS = (
    "harbour",
    "stone",
    "light",
    "water",
    "keel",
    "evening",
    "letter",
    "rope",
    "clerk",
    "the",
    "of",
    "came",
    "went",
)
INDEX = (
    "Anchor, 12, 44\nBallast, 3-5, 91\nBell, 7\nCapstan, 20, 33n.\n"
    "Compass, 2, 4, 8-11\nDeck, 60\n\nFlag, 9, 14\nGaff, 77"
)
BIBLIOGRAPHY = "\n\n".join(
    f"[{i}] Alder, B. and Reed, C. On the {what} of harbours. Journal of Small Ports, vol. {i}, pp. {i}1-{i}9, "
    f"19{70 + i}."
    for i, what in enumerate(("depth", "breadth", "age", "names", "lights"), 1)
)
NAVIGATION = {
    "lines": "Home\nAbout us\nProducts\nNews\nContact\nPrivacy policy\nSitemap\n",
    "a page's foot": "Prev\n3.2. The Second Part\nUp\nHome\nNext\n3.4. The Fourth Part",
    "links": "\n".join(f"* [Part {i}](part-{i}.html)" for i in range(9)),
}
HEADER = (
    "The Project Gutenberg eBook of The Harbour\n\nThis eBook is for the use of anyone anywhere.\n\nTitle: The Harbour"
)
START, END = (
    "*** START OF THE PROJECT GUTENBERG EBOOK THE HARBOUR ***",
    "*** END OF THIS PROJECT GUTENBERG EBOOK THE HARBOUR ***",
)


def prose(n: int, seed: int = 0) -> list[str]:
    """n chunks of words in no order, so that no two have a phrase in common."""
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=60)) + "." for _ in range(n)]


def only(texts: list[str]) -> dict[int, str]:
    return flags({"d": texts})["d"]


@pytest.mark.parametrize("text", ABOUT_LICENCES + NO_LISTINGS)
def test_prose_and_other_shapes_are_text(text):
    assert only([*prose(2), text, *prose(2, seed=1)]) == {}


@pytest.mark.parametrize("shape", CONTENTS)
def test_tables_of_contents(shape):
    assert only([CONTENTS[shape]]) == {0: LISTED["contents"]}


@pytest.mark.parametrize("shape", NAVIGATION)
def test_navigation(shape):
    assert only([NAVIGATION[shape]]) == {0: LISTED["navigation"]}


def test_indexes_and_bibliographies():
    assert only([INDEX, *prose(1), BIBLIOGRAPHY]) == {0: LISTED["index"], 2: LISTED["bibliography"]}


@pytest.mark.parametrize("table", TABLES)
def test_tables_and_lists_in_the_order_of_the_alphabet_are_no_index(table):
    assert only([TABLES[table], *prose(2)]) == {}


def test_an_index_that_says_where_else_to_look():
    entries = [f"{name}, {n}" for name, n in zip(COUNTRIES, NUMBERS, strict=True)]
    entries[2], entries[5] = "Austria, 89, 112-4", "Croatia, see also Dalmatia"
    entries += ["Finland, 3", "France, 8, 12", "Greece, 4n."]
    assert only(["\n".join(entries)]) == {0: LISTED["index"]}


def test_pages_that_do_not_rise_and_entries_in_no_order_are_tables():
    rows = CONTENTS["leaders"].split("\n")
    assert listings.shape_of("\n".join(rows[::-1])) is None
    assert listings.shape_of("\n".join(random.Random(1).sample(INDEX.split("\n"), k=9))) is None


def test_a_licence_is_known_by_its_formulas():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    texts = [text[a:b] for a, b, _ in split(text, load("embedded"), 256)]
    found = only([*prose(2), *texts, *prose(2, seed=1)])
    assert set(found.values()) == {LICENCE}
    assert len(found) > 0.7 * len(texts)
    assert not set(found) & {0, 1, len(texts) + 2, len(texts) + 3}


@pytest.mark.skipif(not LICENCES.is_dir(), reason="there are no common licences here")
@pytest.mark.parametrize("name", ["Apache-2.0", "BSD", "GPL-3", "LGPL-2.1", "MPL-2.0", "GFDL-1.3"])
@pytest.mark.parametrize("max_tokens", [200, 512])
def test_the_common_licences(name, max_tokens):
    text = (LICENCES / name).read_text(encoding="utf-8")
    texts = [text[a:b] for a, b, _ in split(text, load("embedded"), max_tokens)]
    assert len(licences.licences(texts)) >= 0.5 * len(texts)


def test_notices_of_copyright():
    notice = (
        "Copyright © 1997, 2003 The Harbour Press\nAll rights reserved.\nPrinted in Great Britain\nISBN 0-00-000000-0\n"
    )
    telling = (
        "The copyright of 1911 was never renewed, and so the book was free.\nNobody noticed.\nIt was not reprinted.\n"
    )
    line = "The book was first published in 1911, and was reprinted in 1923 with a preface by the author's son."
    assert only(
        [notice, telling, line, "Was it reprinted?\nIt was, said he, in a hurry.", "L'impression reste.", *prose(1)]
    ) == {0: NOTICE}


def test_what_project_gutenberg_puts_around_a_book():
    terms = prose(3, seed=5)
    assert only([HEADER, START, *prose(9), f"The end.\n\n{END}", *terms]) == dict.fromkeys(
        [0, 1, 11, 12, 13, 14], FRAME
    )


def test_the_address_of_its_licence_in_other_prose_is_no_frame():
    address = "The book is under the licence at www.gutenberg.org/license."
    [long, short] = [*prose(1), "It was read by all of them, and by us."]
    assert only([f"{long} {address} {long[::-1]}", f"{short} {short} {address}", *prose(2, seed=2)]) == {}
    frame = (
        "This eBook is for the use of anyone anywhere at no cost and with almost no restrictions whatsoever. You may "
        "copy it, give it away or re-use it under the terms of the Project Gutenberg License included with this eBook "
        "or online at www.gutenberg.org/license"
    )
    assert boilerplate.reason_of(frame) == FRAME


def test_the_small_print_of_early_books_stands_before_them():
    last = "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*"
    assert only([HEADER, *prose(2), last, *prose(5, seed=1)]) == dict.fromkeys(range(4), FRAME)


def test_between_two_books_all_is_frame():
    books = [
        [f"{START}\n\nOne came.", *prose(4, seed=seed), f"So it ended.\n{END}", "Their terms.", HEADER]
        for seed in (1, 2)
    ]
    found = only([text for book in books for text in book])
    assert sorted(found) == [0, 5, 6, 7, 8, 13, 14, 15]


def test_a_marker_far_into_a_text_makes_no_header_of_what_is_before():
    assert sorted(only([*prose(40), f"{START} is how they begin.", *prose(9, seed=1)])) == [40]
    told = "It was then that Project Gutenberg began. What is between *** START OF THE PROJECT and the end is the book."
    assert only([*prose(3), told, *prose(3, seed=1)]) == {}


def test_what_ends_a_book_does_not_end_all_that_is_behind_it():
    texts = [START, *prose(3), END, *prose(400, seed=3)]
    found = only(texts)
    assert sorted(found) == list(range(max(found) + 1))[:1] + list(range(4, max(found) + 1))
    assert sum(len(texts[i]) for i in found) < boilerplate.MOST_FOOTER + 1000


def test_chunks_that_repeat_each_other():
    [refrain] = prose(1, seed=7)
    nearly = refrain.replace(refrain.split()[30], "gull", 1)
    texts = [*prose(3), refrain, *prose(3, seed=1), nearly, *prose(2, seed=2)]
    assert only(texts) == {3: REPEATED, 7: REPEATED}


def test_a_footer_in_several_documents_wherever_it_is_cut():
    footer = " ".join(prose(4, seed=9)).split()
    first = [" ".join(footer[:110]), " ".join(footer[110:])]
    second = [" ".join(footer[:70]), " ".join(footer[70:140]), " ".join(footer[140:])]
    found = flags({"a": [*prose(8), *first], "b": [*prose(8, seed=1), *second], "c": prose(8, seed=2)})
    assert found == {"a": dict.fromkeys([8, 9], ELSEWHERE), "b": dict.fromkeys([8, 9, 10], ELSEWHERE), "c": {}}


def test_of_two_editions_the_first_keeps_what_they_share():
    text = prose(10)
    found = flags({"first": text, "second": [*text[:8], *prose(3, seed=3)], "third": text})
    assert found["first"] == {}
    assert found["second"] == dict.fromkeys(range(8), ELSEWHERE)
    assert found["third"] == dict.fromkeys(range(10), ELSEWHERE)


def test_an_edition_of_a_part_of_a_longer_document_is_not_lost_from_both():
    long = prose(10)
    part = {"part": long[:3]}
    assert flags({"long": long} | part) == {"long": {}, "part": dict.fromkeys(range(3), ELSEWHERE)}
    assert flags(part | {"long": long}) == {"part": {}, "long": dict.fromkeys(range(3), ELSEWHERE)}
    other = prose(10, seed=1)
    found = flags({"long": long, "other": other, "both": [*long[:3], *other[4:7]]})
    assert found == {"long": {}, "other": {}, "both": dict.fromkeys(range(6), ELSEWHERE)}


def test_a_footer_is_lost_where_an_edition_has_it_too():
    [footer] = prose(1, seed=9)
    found = flags({"a": [*prose(8), footer], "b": [*prose(8, seed=1), footer], "part": [footer]})
    assert found == {"a": {8: ELSEWHERE}, "b": {8: ELSEWHERE}, "part": {0: ELSEWHERE}}


@given(st.lists(st.lists(st.sampled_from(prose(8)), unique=True, min_size=1, max_size=8), min_size=2, max_size=2))
def test_what_an_edition_shares_is_left_in_one_of_two_documents(two):
    found = repeats.across(two)
    kept = [text for d, texts in enumerate(two) for i, text in enumerate(texts) if i not in found[d]]
    shared = set(two[0]) & set(two[1])
    is_edition = any(2 * len(shared) > len(texts) for texts in two)
    assert sorted(kept) == sorted(set(two[0]) | set(two[1]) if is_edition else set(two[0]) ^ set(two[1]))


texts_of = st.lists(
    st.one_of(
        st.sampled_from(
            [*prose(6), *ABOUT_LICENCES, *NO_LISTINGS, *CONTENTS.values(), INDEX, HEADER, START, END, "", " "]
        ),
        st.text(max_size=60),
    ),
    max_size=12,
)


@given(st.dictionaries(st.text(max_size=3), texts_of, max_size=4))
def test_whatever_the_texts(documents):
    found = flags(documents)
    assert list(found) == list(documents)
    for doc_id, reasons in found.items():
        assert list(reasons) == sorted(reasons)
        assert all(0 <= i < len(documents[doc_id]) and reason for i, reason in reasons.items())
    assert flags(documents) == found
    assert all(flags({doc_id: texts})[doc_id].keys() <= found[doc_id].keys() for doc_id, texts in documents.items())


@given(st.lists(st.sampled_from("abc"), max_size=40).map(" ".join), st.integers(0, 40))
def test_what_stands_within_another_text_is_contained_in_it(text, at):
    part = " ".join(text.split()[at:])
    assert set(repeats.shingles(part)) <= set(repeats.shingles(text))
    assert len(repeats.shingles(text)) <= max(0, len(text.split()) - 7)


@pytest.mark.parametrize(
    "unit", ["copyright ", "a, 1\n", ". . . ", "[a](b) ", "*** ", "1. A  2\n", "word ", "漢", "\n", "_a_ "]
)
def test_hostile_texts_take_linear_time(unit):
    def seconds(size: int) -> float:
        start = time.process_time()
        flags({"d": [unit * (size // len(unit))]})
        return time.process_time() - start

    seconds(1000)
    assert seconds(80_000) < 30 * max(seconds(10_000), 0.01)


@pytest.mark.skipif(not BOOKS.is_dir(), reason="the books are not here")
def test_books():
    found = {}
    for name, encoding in (("news-from-nowhere.txt", "utf-8"), ("dickens-and-music.latin1.txt", "latin-1")):
        text = (BOOKS / name).read_text(encoding=encoding)
        texts = [text[a:b] for a, b, _ in split(text, load("embedded"), 200)]
        found[name] = {texts[i][:20]: reason for i, reason in flags({name: texts})[name].items()}
    assert found["news-from-nowhere.txt"] == {"_First printed seria": NOTICE}
    assert set(found["dickens-and-music.latin1.txt"].values()) == {LISTED["index"]}
    assert len(found["dickens-and-music.latin1.txt"]) > 20
