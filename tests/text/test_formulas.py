import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datagen.text.formulas import ACCENTED, MOST, accented, plain, plain_before_a_stop

PARTS = [
    "x",
    "n",
    "2",
    "_",
    "^",
    "{",
    "}",
    r"\le ",
    r"\pi",
    r"\foo",
    r"\mathbb{R}",
    "'",
    " ",
    "\n",
    r"\,",
    "$",
    r"\text{if}",
]
formulas = st.lists(st.sampled_from(PARTS), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        ("$n$", "n"),
        (r"$n \le 2^k$", "n ≤ 2ᵏ"),
        (r"\(\pi_n(S^n)\)", "πₙ(Sⁿ)"),
        (r"$\mathbb{R}^{2}$", "ℝ²"),
        (r"$\mathbb N$", "ℕ"),
        (r"$x_{n+1},\ldots,x_{2n}$", "xₙ₊₁,…,x₂ₙ"),
        (r"$f'(x) = \sin x$", "f′(x) = sin x"),
        (r"$f : A\to B$", "f : A→ B"),
        (r"$O(n\log n)$", "O(n log n)"),
        (r"$2\sin\theta \bmod m$", "2 sin θ mod m"),
        (r"$\sin^2\theta$", "sin²θ"),
        (r"$x\,\text{if even}$", "x if even"),
        ("$a =\n b$", "a = b"),
        (r"$\left( a \right)$", "( a )"),
    ],
)
def test_a_formula_as_a_line_of_text(formula: str, wanted: str):
    assert plain(formula) == wanted


@pytest.mark.parametrize(
    "formula",
    [
        r"$\frac{1}{2}$",
        r"$\bar x$",
        r"$\RC$",
        r"$x^{y^z}$",
        r"$x_Q$",
        r"$a & b$",
        r"$\{ a \}$",
        r"$\mathcal{C}$",
        r"$\mathbb{b}$",
        "$ $",
        f"${'a + ' * MOST}$",
    ],
)
def test_what_no_line_of_text_shows_has_no_plain_form(formula: str):
    assert plain(formula) is None


def test_a_letter_that_a_stop_follows_would_read_like_an_initial():
    assert plain_before_a_stop("$x$") is None
    assert plain_before_a_stop("$y = x$") is None
    assert plain_before_a_stop("$y = 2x$") == "y = 2x"
    assert plain_before_a_stop("$12$") == "12"
    assert plain_before_a_stop(r"$\foo$") is None


@given(formulas)
@example("x_")
@example("^^")
def test_nothing_of_tex_is_left_and_nothing_is_longer_than_what_it_stands_for(inner: str):
    text = plain(f"${inner}$")
    if text is not None:
        assert text == " ".join(text.split())
        assert 0 < len(text) <= min(MOST, len(inner))
        assert not set(text) & set("\\{}_^$&\n")


@pytest.mark.parametrize(
    ("command", "letter"),
    [
        (r"\"a", "ä"),
        (r"\'{e}", "é"),
        (r"\^{\i}", "î"),
        (r"\'\i", "í"),
        (r"\c{c}", "ç"),
        (r"\H{o}", "ő"),
        (r"\ss{}", "ß"),
        ("\\ss ", "ß"),
        (r"\o", "ø"),
    ],
)
def test_accents(command: str, letter: str):
    assert accented(command) == letter


@pytest.mark.parametrize("command", [r"\'q", r"\cite", r"\c{q}", r"\omega", "\\", r"\'"])
def test_no_letter_is_made_up(command: str):
    assert accented(command) is None


def test_a_command_that_begins_like_an_accent_is_none():
    assert ACCENTED.search(r"\cite{a} \overline{b} \omega \hspace{c} \left") is None
