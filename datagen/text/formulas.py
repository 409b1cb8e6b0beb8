"""What TeX spells with commands and Unicode has a character for: the letters and signs of short formulas, and accents.

The sentence around `$n \\le 2^k$` reads on with `n ≤ 2ᵏ` in it. A formula that no line of text can show (a fraction, a
hat, a command that the document defines) has no plain form, and nothing is made up for it.
"""

from __future__ import annotations

import re
import unicodedata

MOST = 40  # characters of a formula that is read like a word or two

_GREEK = (
    "alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ "
    "mu μ nu ν xi ξ pi π rho ρ sigma σ tau τ upsilon υ phi φ varphi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ "
    "Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω"
)
_SIGNS = (
    "le ≤ leq ≤ leqslant ≤ ge ≥ geq ≥ geqslant ≥ ne ≠ neq ≠ equiv ≡ approx ≈ sim ∼ simeq ≃ cong ≅ ll ≪ gg ≫ times × "
    "cdot · pm ± mp ∓ div ÷ circ ∘ ast * star ⋆ bullet • oplus ⊕ otimes ⊗ cap ∩ cup ∪ sqcap ⊓ sqcup ⊔ setminus ∖ "
    "in ∈ notin ∉ ni ∋ subset ⊂ subseteq ⊆ supset ⊃ supseteq ⊇ wedge ∧ land ∧ vee ∨ lor ∨ neg ¬ lnot ¬ forall ∀ "
    "exists ∃ to → rightarrow → longrightarrow → gets ← leftarrow ← mapsto ↦ Rightarrow ⇒ implies ⇒ iff ⇔ "
    "Leftrightarrow ⇔ leftrightarrow ↔ infty ∞ emptyset ∅ varnothing ∅ partial ∂ nabla ∇ angle ∠ triangle △ "
    "perp ⊥ parallel ∥ mid | "
    "ell ℓ hbar ℏ Re ℜ Im ℑ aleph ℵ prime ′ ldots … dots … cdots ⋯ langle ⟨ rangle ⟩ colon : vert | lvert | rvert | "
    "prec ≺ preceq ⪯ succ ≻ succeq ⪰ vdash ⊢ models ⊨ top ⊤ bot ⊥ sum ∑ prod ∏ int ∫ R ℝ N ℕ Z ℤ Q ℚ"
)
_FUNCTIONS = "sin cos tan cot exp log ln lg max min sup inf lim ker dim deg det gcd arg Pr arcsin arccos arctan mod"
_LISTED = f"{_GREEK} {_SIGNS}".split()
_NAMED: dict[str, str] = dict(zip(_LISTED[::2], _LISTED[1::2], strict=True))
_SPELLED: dict[str, str] = {name: name for name in _FUNCTIONS.split()} | {"bmod": "mod"}
_DOUBLE_STRUCK = dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True))
_LOWERED = dict(zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_RAISED = dict(zip("0123456789+-=()inkmdjprst*", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁱⁿᵏᵐᵈʲᵖʳˢᵗ*", strict=True)) | {"′": "′", "∘": "°"}
_UPRIGHT = re.compile(r"\\(?:text(?:rm|it|bf|sf|tt|normal)?|math(?:rm|it|bf|sf|tt)|operatorname)\{([\w\s.,-]*)\}")
_STRUCK = re.compile(r"\\mathbb(?:\{([A-Z])\}| ([A-Z])\b)")
_SPACING = re.compile(r"\\[,;:!> ]|\\q?quad(?![A-Za-z])|~|\\(?:left|right|[bB]igg?[lr]?|displaystyle)(?![A-Za-z])")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SCRIPT = re.compile(r"([_^])(?:\{([^{}_^]{1,8})\}|([^\s{}_^\\]))")
_LEFT_OVER = re.compile(r"[\\{}_^&$#\n]")
_MARKS = dict(
    zip("`'^\"~=.cvuHkr", map(chr, (768, 769, 770, 776, 771, 772, 775, 807, 780, 774, 779, 808, 778)), strict=True)
)
_LETTERS = {
    "ss": "ß",
    "o": "ø",
    "O": "Ø",
    "ae": "æ",
    "AE": "Æ",
    "oe": "œ",
    "OE": "Œ",
    "aa": "å",
    "AA": "Å",
    "l": "ł",
    "L": "Ł",
}
ACCENTED = re.compile(
    r"\\(?:([`'^\"~=.])(?:\{(?:\\?([ij])|([A-Za-z]))\}|\\([ij])(?![A-Za-z])|([A-Za-z]))|([cvuHkr])\{([A-Za-z])\}"
    r"|(ss|ae|AE|oe|OE|aa|AA|[oOlL])(?:\{\}|(?![A-Za-z])[ ]?))"
)


def plain(formula: str) -> str | None:
    """A formula of TeX, given with what it stands between (`$…$`, `\\(…\\)`), as one line of Unicode text.

    None where it has no plain form, or is longer than a sentence reads on over.
    """
    inner = formula.removeprefix("$").removesuffix("$").removeprefix("\\(").removesuffix("\\)")
    text = _SPACING.sub(" ", _STRUCK.sub(lambda m: _DOUBLE_STRUCK.get(m[1] or m[2], m[0]), inner))
    text = _COMMAND.sub(_named, _UPRIGHT.sub(r"\1", text))
    text = " ".join(_SCRIPT.sub(_script, text.replace("'", "′")).split())
    if not text or len(text) > MOST or _LEFT_OVER.search(text):
        return None
    return text


def plain_before_a_stop(formula: str) -> str | None:
    """`plain` of a formula that a full stop follows: of one that ends with a single letter there is none, since the
    letter and its stop would read like an initial, after which a sentence goes on.
    """
    text = plain(formula)
    last = text.split()[-1] if text else ""
    return None if len(last) == 1 and last.isalpha() else text


def accented(command: str) -> str | None:
    """The letter that a command such as `\\"a` or `\\ss{}` stands for; None where Unicode has no such letter."""
    found = ACCENTED.fullmatch(command)
    if not found:
        return None
    if found[8]:
        return _LETTERS[found[8]]
    mark, letter = found[1] or found[6], next(filter(None, found.group(2, 3, 4, 5, 7)))
    composed = unicodedata.normalize("NFC", letter + _MARKS[mark])
    return composed if len(composed) == 1 else None


def _named(found: re.Match[str]) -> str:
    """A command's sign, or its name: apart from the letters beside it, as TeX sets it."""
    name: str = found[1]
    if name not in _SPELLED:
        return _NAMED.get(name, found[0])
    before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    space_before = " " if before.isalnum() or before in (")", "}") else ""
    return f"{space_before}{_SPELLED[name]}{' ' if after.isalnum() or after == chr(92) else ''}"


def _script(found: re.Match[str]) -> str:
    """What is lowered or raised, where each character of it can be; else as it is."""
    table = _LOWERED if found[1] == "_" else _RAISED
    written = (found[2] or found[3]).replace(" ", "")
    return "".join(table[c] for c in written) if all(c in table for c in written) else found[0]
