"""What could be taken for a tag, a fence or a control token: written with a backslash, and restored.

A prompt puts whatever comes from a document, a question or a model between tags, and a chat template puts the prompt
between control tokens. `neutralise` is what keeps the text from closing either. It sees through what a reader does not:
full-width letters, those of other scripts that look the same, characters of no width, accents.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# What follows the "<" of a tag or a fence, in any spelling that a reader, or a model, could take for one. None of these
# patterns holds an opening character or a backslash, so the backslashes that `neutralise` adds never change what looks
# like a tag, and a tag never spans the seam between a text and what is around it. Each run of white space has one way
# to match: no input makes it backtrack badly.
_TAG = r"""\s*(?:/\s*)?(?:chunk[\s_-]*\d|useful[\s_-]*chunks?\b|answer\b|question\b
    |(?:given|reference|other)[\s_-]*answer\b)"""
# Control tokens of common chat templates: <|im_end|>, <｜User｜>, <turn|>, <<SYS>>, </s>, <start_of_turn> …
_CONTROL = r"""\|[^][\s<>|\\]{1,64}\|?>|\w{1,40}\|>|/?SYS>>
    |(?-i:/?(?:s|bos|eos|pad|unk|mask|cls|sep|eod|sop|eop|think|tools?|tool_call|tool_response|unused\d+|extra_id_\d+
        |(?:start|end)_of_(?:turn|image|audio|role)|(?:BOS|EOS|PAD|UNK)_TOKEN|fim_(?:prefix|middle|suffix|pad)
        |file_sep|repo_name|endoftext|seed:(?:bos|eos|pad|think|tool_call)|SPECIAL_\d{1,4}|reserved_\d{1,4}|eoh|eoa
        |end_of_utterance|(?:beginning|end)_of_sentence)>)"""
# … and [INST], [/INST], [gMASK], [|endofturn|].
_BRACKETED = r"""(?-i:/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|MODEL_SETTINGS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT
    |\|(?:system|user|assistant|tool|endofturn)\||UNUSED_TOKEN_\d{1,4}
    |CALL_ID|ARGS|THINK|IMG|IMG_BREAK|IMG_END|PREFIX|MIDDLE|SUFFIX|CLS|SEP|PAD|MASK|UNK|BOS|EOS|gMASK|sMASK)\])"""
_FLAGS = re.IGNORECASE | re.VERBOSE
_TO_ESCAPE = re.compile(rf"<(?:\\*)(?={_TAG}|{_CONTROL})|\[(?:\\*)(?={_BRACKETED})", _FLAGS)
_ESCAPED = re.compile(rf"<(?:\\+)(?={_TAG}|{_CONTROL})|\[(?:\\+)(?={_BRACKETED})", _FLAGS)
_CLOSING = re.compile(r"</\s*([^\W\d][\w.-]*)\s*>")

_AS_IT_IS = re.compile(r"[\t\n\v\f\r -~]*")
_UNSEEN = "\0"  # what a reader does not see, or sees as an accent
_ALIKE = str.maketrans(
    "АВСЕНІЈКМОРЅТХУԚԜаеорсухіјѕԛԝһкмтԁոսΑΒΕΗΙΚΜΝΟΡΤΥΧΖικορτυχνᴀᴄᴇꜰʜɪᴋʟᴍɴᴏᴘꜱᴛᴜᴠᴡʀɑɡı‹〈⟨˂❮❰∣ǀ⁄∕⧵−",
    "ABCEHIJKMOPSTXYQWaeopcyxijsqwhkmtdnuABEHIKMNOPTYXZikoptuxvACEFHIKLMNOPSTUVWRagi<<<<<<||//\\-",
)


class Fenced(str):
    """Text that is to stand in a prompt as it is: `neutralise` has been over it, or the prompt is its author."""


def neutralise(text: str) -> Fenced:
    """The text with a backslash after the "<" or "[" of everything that looks like a tag, a fence or a control token;
    `restore` is its exact inverse.
    """
    return Fenced(_edited(text, _TO_ESCAPE, "\\"))


def restore(text: str) -> str:
    """Undo `neutralise`."""
    return _edited(text, _ESCAPED, "")


def names(prompt: str) -> frozenset[str]:
    """The fences that a prompt's own text closes, such as "notes" of `</notes>`, besides those that are known here."""
    return frozenset(
        name for name in _CLOSING.findall(prompt) if name != "CHUNK_i" and not _TO_ESCAPE.match(f"</{name}>")
    )


def without(text: str, fences: Iterable[str]) -> str:
    """The text with a backslash in what looks like one of these fences."""
    fences = sorted(map(re.escape, fences))
    like = rf"<(?=\s*(?:/\s*)?(?:{'|'.join(fences)})\b)"
    return _edited(text, re.compile(like, re.IGNORECASE), "\\") if fences else text


def escape_tokens(text: str, tokens: Iterable[str]) -> str:
    """The text with a backslash after the first character of each of these tokens of a tokenizer."""
    tokens = sorted((re.escape(token) for token in tokens if len(token) > 1), key=len, reverse=True)
    return re.sub("|".join(tokens), lambda found: f"{found[0][0]}\\{found[0][1:]}", text) if tokens else text


def _edited(text: str, opening: re.Pattern[str], added: str) -> str:
    """The text with `added` after each opening character that is found, else without the backslash there."""
    seen, places = _seen(text)
    parts, at = [], 0
    for match in opening.finditer(seen):
        if added:
            begin = end = (places[match.start()] if places else match.start()) + 1
        else:
            begin = places[match.start() + 1] if places else match.start() + 1
            end = begin + 1
        parts += [text[at:begin], added]
        at = end
    return "".join([*parts, text[at:]])


def _seen(text: str) -> tuple[str, list[int]]:
    """The text as a reader sees it, and where each of its characters stands; no places if all do where they did."""
    if _AS_IT_IS.fullmatch(text):
        return text, []
    seen = text.translate({ord(c): _look(c) for c in set(text) if not _AS_IT_IS.fullmatch(c)})
    if _UNSEEN not in seen:
        return seen, []
    places = [i for i, c in enumerate(seen) if c != _UNSEEN]
    return seen.replace(_UNSEEN, ""), places


def _look(c: str) -> str:
    """One character that looks the same, a plain one if there is any."""
    category = unicodedata.category(c)
    if category in ("Cc", "Cf", "Mn", "Me") or c in "\u115f\u1160\u3164\uffa0":
        return _UNSEEN
    if category in ("Pc", "Pd"):
        return "_" if category == "Pc" else "-"
    plain = [x for x in unicodedata.normalize("NFKD", c) if unicodedata.category(x) != "Mn"]
    return plain[0].translate(_ALIKE) if len(plain) == 1 else c
