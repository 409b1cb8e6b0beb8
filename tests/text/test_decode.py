from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from datagen.text import decode
from datagen.text.decode import BadDocument

BOOKS = Path(__file__).resolve().parents[3] / "shared" / "data" / "books"

FRENCH = "Ça va très bien, merci ; où êtes-vous allés cet été, à la forêt ou à la mer ? "
HUNGARIAN = "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Árvíztűrő tükörfúrógép. "
RUSSIAN = "Все люди рождаются свободными и равными в своём достоинстве и правах. "
GREEK = "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. "
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy. Všichni lidé se rodí svobodní a sobě rovní. "
POLISH = "Łódź jest pięknym miastem, w którym żyją ludzie. Wszyscy rodzą się wolni i równi w swej godności. "
JAPANESE = "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"
CHINESE = "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_unicode_is_decoded_to_the_character(text, encoding):
    assume(not (encoding == "utf-16" and text.startswith("\0")))  # whose first bytes are UTF-32's mark
    raw = text.encode(encoding)
    if encoding == "utf-8" and text.startswith("\ufeff"):
        text, encoding = text[1:], "utf-8-sig"
    assert decode.decode(raw) == (text, encoding)
    assert raw.decode(encoding) == text


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_either_byte_order_is_read(codec):
    assert decode.decode(f"\ufeff{FRENCH}".encode(codec)) == (FRENCH, codec[:6])


@pytest.mark.parametrize(
    ("text", "written", "named"),
    [
        ("café crème", "latin-1", "iso8859-1"),
        ("This costs £5 or more.", "latin-1", "iso8859-1"),
        (FRENCH, "latin-1", "iso8859-1"),
        ("It’s a “quoted” phrase — and that’s all there is to it. ", "cp1252", "cp1252"),
        (CZECH * 3, "cp1250", "cp1250"),
        (POLISH * 3, "iso8859-2", "iso8859-2"),
        (HUNGARIAN * 60, "cp1250", "cp1250"),
        (HUNGARIAN, "cp1250", "cp1250"),
        (FRENCH * 50, "cp850", "cp850"),
        (RUSSIAN * 3, "cp1251", "cp1251"),
        (RUSSIAN * 3, "koi8-r", "koi8-r"),
        (RUSSIAN * 3, "cp866", "cp866"),
        (GREEK * 3, "iso8859-7", "cp1253"),
        (JAPANESE * 3, "shift-jis", "cp932"),
        (JAPANESE * 3, "euc-jp", "euc_jp"),
        (CHINESE * 3, "gbk", "gb18030"),
    ],
)
def test_legacy_encodings_are_detected_to_the_character(text, written, named):
    assert decode.decode(text.encode(written)) == (text, named)


def reason(raw: bytes) -> tuple[str, str]:
    with pytest.raises(BadDocument) as bad:
        decode.decode(raw)
    return bad.value.reason, bad.value.what


def test_damaged_utf8_is_not_read_as_something_else():
    raw = (FRENCH + "\n").encode() * 3
    at = raw.rindex("ê".encode())
    assert reason(raw[: at + 1] + raw[at + 2 :]) == (
        "invalid UTF-8",
        f"line 3, byte {at} of the file (0xc3) is not valid UTF-8, which the rest of the file is",
    )
    assert reason(b"\xef\xbb\xbfabc\n\xff")[1].startswith("line 2, byte 7 of the file (0xff)")
    assert reason("\ufeffab\ud800".encode("utf-16-le", "surrogatepass"))[0] == "undecodable"
    assert (
        "byte 6 of the file (0x00) is not utf-16-le" in reason("\ufeffab\ud800".encode("utf-16-le", "surrogatepass"))[1]
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(range(255, 0, -1)) * 3,
        b"plain English but for one byte \x81 that is no letter anywhere",
    ],
)
def test_what_cannot_be_told_is_refused(raw):
    assert reason(raw)[0] == "undecodable"


@pytest.mark.skipif(not BOOKS.is_dir(), reason="the books are not here")
def test_a_real_latin1_book_is_intact():
    raw = (BOOKS / "dickens-and-music.latin1.txt").read_bytes()
    assert decode.decode(raw) == (raw.decode("latin-1"), "iso8859-1")


def test_a_few_odd_signs_do_not_make_a_long_text_of_one_encoding_doubtful():
    sentence = "Żółte łąki pachniały miętą, a źdźbła trawy gięły się na wietrze. "
    text = "".join(f"{sentence}Nikt z nich ‚nie pamiętał\n" if i % 90 == 5 else sentence + "\n" for i in range(400))
    assert decode.decode(text.encode("cp1250")) == (text, "cp1250")


def test_what_is_likely_and_not_sure_is_named():
    text = "Smörgåsbordet är öppet för alla gäster¢, och smöret är färskt½. ½Kött¢ ½bröd¢ ½öl¢ ½får¢ ½ägg¢. " * 9
    with pytest.raises(BadDocument, match=r"--set input\.encoding=cp850") as e:
        decode.decode(text.encode("cp850"))
    assert "iconv" not in e.value.what
