"""What readers are given: sound inputs as they really are, and what can become of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from datagen import resources
from datagen.config import layers
from datagen.config.model import Config

TAGS = [
    *(
        "<CHUNK_0>",
        "</CHUNK_0>",
        "<CHUNK_1>",
        "<CHUNK_007>",
        "<CHUNK_٣>",
        "<chunk_2>",
        "<CHUNK_>",
        "<CHUNK_-1>",
        "CHUNK_3",
    ),
    *("<useful_chunks>", "</useful_chunks>", "<answer>", "</answer>", "< answer>", "<ANSWER>", "</answer", "<answer"),
    *("<question>", "</question>", "</other_answer>", "</reference_answer>", "<\\answer>", "<\\\\CHUNK_1>"),
    *(
        "<|im_end|>",
        "<|eot_id|>",
        "<｜User｜>",
        "[INST]",
        "[/INST]",
        "<</SYS>>",
        "</s>",
        "<start_of_turn>",
        "<\\|im_end|>",
    ),
]
LOOKALIKES = [
    *(
        "\u200b",
        "\u00ad",
        "\u2060",
        "\ufeff",
        "\u0301",
        "\u0336",
        "\u20dd",
        "\u034f",
        "\ufe0f",
        "\U000e0061",
        "\0",
        "\x1b",
    ),
    *("＜", "〈", "‹", "＞", "／", "＼", "＿", "С", "Α", "а", "ѕ", "𝐚", "ａ", "１", "²", "ⓐ", "ª", "ﬃ", "İ", "ſ", "K"),
]
SMALL = ["<", ">", "/", "\\", "[", "]", "|", "_", " ", "\n", "\r", "\t", "0", "1", "42", "x", "Rome", ".", ","]
pieces = st.sampled_from(TAGS) | st.sampled_from(LOOKALIKES) | st.sampled_from(SMALL) | st.text(max_size=3)


@st.composite
def disguised(draw: Any) -> str:
    """A tag with look-alikes in it."""
    tag = list(draw(st.sampled_from(TAGS)))
    for _ in range(draw(st.integers(0, 3))):
        tag.insert(draw(st.integers(0, len(tag))), draw(st.sampled_from(LOOKALIKES) | st.sampled_from(SMALL)))
    return "".join(tag)


texts = st.lists(pieces | disguised(), max_size=12).map("".join)


@st.composite
def edited(draw: Any, whole: str, parts: st.SearchStrategy[str]) -> str:
    """A text with a few pieces put in, left out, doubled or moved."""
    for _ in range(draw(st.integers(0, 4))):
        i, j = sorted((draw(st.integers(0, len(whole))), draw(st.integers(0, len(whole)))))
        what = draw(st.sampled_from(["put in", "replace", "cut", "double", "move", "end"]))
        if what == "put in":
            whole = whole[:i] + draw(parts) + whole[i:]
        elif what == "replace":
            whole = whole[:i] + draw(parts) + whole[min(j, i + 20) :]
        elif what == "cut":
            whole = whole[:i] + whole[min(j, i + 20) :]
        elif what == "double":
            whole = whole[:j] + whole[i:j] + whole[j:]
        elif what == "move":
            whole = whole[:i] + whole[j:] + whole[i:j]
        else:
            whole = whole[:j]
    return whole


@st.composite
def responses(draw: Any) -> str:
    """Responses of models: sound ones, and what becomes of them."""
    ids = draw(st.lists(st.integers(0, 10**6), max_size=4))
    sections = [
        f"<useful_chunks>\n{' '.join(f'<CHUNK_{i}>' for i in ids)}\n</useful_chunks>",
        f"<answer>\n{draw(texts)}\n</answer>",
    ]
    sections = draw(st.permutations(sections)) if draw(st.booleans()) else sections
    return draw(edited(f"{draw(texts)}\n\n" + "\n\n".join(sections), pieces))


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.sampled_from(
        [
            10**30,
            -(10**400),
            1.5,
            1e308,
            float("inf"),
            float("nan"),
            "",
            " ",
            "0",
            "7",
            "yes",
            "a\nb",
            "\ud83d",
            "CHUNK_2",
        ]
    )
    | st.floats()
    | st.text(max_size=5)
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """JSON with another value in one place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in JSON, its own first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, each in inner for path in places(each, (*at, key)))]


@st.composite
def changed(draw: Any, sound: Any) -> Any:
    """JSON with any value of any type in a few of its places."""
    for _ in range(draw(st.integers(1, 3))):
        sound = put(sound, draw(st.sampled_from(places(sound))), draw(anything))
    return sound


REPLIES: list[Any] = [
    {"skip": False, "question": "Who?", "answer": "He.", "evidence": [0, 2]},
    {"skip": True},
    {"reason": "fine", "rating": 7},
    {"reason": "so", "answerable": True, "answer": "Rome"},
]
around = st.sampled_from(
    [
        "{}",
        "```json\n{}\n```",
        "Let me see {{a}}.\n```\n{}\n```\nSo.",
        "[[7]] {}",
        "{} [[Yes]]",
        "{}\n{}",
        "<think>{{</think>{}",
    ]
)
json_pieces = st.sampled_from(
    [
        *'{}[]",:\\',
        "```",
        "```json\n",
        "[[",
        "]]",
        "[[Yes]]",
        "[[no]]",
        "[[8]]",
        '"skip"',
        '"rating": 3',
        "NaN",
        "1e999",
        "true",
        "\n",
        "\\u0057",
        "\\ud83d",
    ]
)


@st.composite
def replies(draw: Any) -> str:
    """Replies of models: JSON objects of the declared kinds, with anything in any place, in a fence or amid prose."""
    value = draw(st.sampled_from(REPLIES))
    text = json.dumps(draw(st.just(value) | changed(value)), ensure_ascii=draw(st.booleans()))
    return draw(edited(draw(around).format(*[text] * 2), json_pieces))


VECTORS: Any = {"data": [{"index": 0, "embedding": [0.5, 1.0]}, {"index": 1, "embedding": "AACAPwAAAEA="}]}
CHAT: Any = {
    "choices": [{"message": {"content": "Yes.", "reasoning_content": "Hm."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}},
}
ERROR: Any = {
    "error": {
        "code": 400,
        "type": "invalid_request_error",
        "message": "maximum context length is 8192 tokens. But you want 9000 tokens (8500 in the messages, …)",
    }
}
bodies = st.sampled_from([VECTORS, CHAT, ERROR]).flatmap(changed)

CONFIGS = [
    path.read_text(encoding="utf-8") for path in sorted(resources.path("configs", "paper").parent.glob("*.yaml"))
]
ODD = [
    *(
        "yes",
        "no",
        "~",
        "''",
        "-1",
        "0",
        "010",
        "0x1F",
        "0b1",
        "1_000",
        "1:30",
        "1e3",
        "1e400",
        ".inf",
        "-.inf",
        ".nan",
    ),
    *("9" * 200, "0x" + "f" * 5000, "1" + ":59" * 3000, "2024-02-30", "2024-01-01", "2024-01-01T00:00:00Z", "=", "<<"),
    *(
        "[]",
        "{}",
        "[1, x]",
        "{a: b}",
        "[[[]]]",
        "&a x",
        "*a",
        "&a [*a]",
        "|\n  x",
        ">-\n x",
        "? x",
        "x: y",
        "- x",
        "%x",
    ),
    *(
        "!!binary aGk=",
        "!!set {a}",
        "!!map x",
        "!!python/name:os.system",
        "!!timestamp x",
        "!!int x",
        "!!float ''",
        "!x y",
    ),
    *("sk-abcdefghijklmnop", "http://user:secret@host/v1", "\x07", "\u2028", "é", "@x", "`x", "'x", '"x', '"\\ud800"'),
]
odd = st.sampled_from(ODD)


@st.composite
def settings_text(draw: Any) -> str:
    """A shipped configuration, some of whose lines were changed, dropped, doubled, moved, or given odd values."""
    lines = draw(st.sampled_from(CONFIGS)).splitlines()
    for _ in range(draw(st.integers(1, 4))):
        if not lines:
            break
        i = draw(st.integers(0, len(lines) - 1))
        name, colon, _ = lines[i].partition(":")
        what = draw(st.sampled_from(["value", "value", "drop", "double", "indent", "merge", "anchor", "junk"]))
        if what == "value" and colon:
            lines[i] = f"{name}: {draw(odd)}"
        elif what == "drop":
            del lines[i]
        elif what == "double":
            lines.insert(draw(st.integers(0, len(lines))), lines[i])
        elif what == "indent":
            lines[i] = draw(st.sampled_from(["  ", "\t", "- "])) + lines[i]
        elif what == "merge":
            lines.insert(i, f"{name[: len(name) - len(name.lstrip())]}<<: {draw(odd)}")
        elif what == "anchor" and colon:
            lines[i] = f"{name}: &a"
        else:
            lines[i] = draw(edited(lines[i], odd | st.sampled_from([*"{}[]:,&*!|>-?#\"'%@"])))
    return "\n".join(lines) + "\n"


@st.composite
def mutated(draw: Any, whole: bytes) -> bytes:
    """A file that something happened to: bits, bytes, a cut, a block of zeros or from elsewhere, one that moved."""
    for _ in range(draw(st.integers(1, 2))):
        i, j = sorted((draw(st.integers(0, len(whole))), draw(st.integers(0, len(whole)))))
        what = draw(st.sampled_from(["bit", "byte", "cut", "zeros", "double", "lost", "put in", "move", "junk"]))
        if what == "bit" and i < len(whole):
            whole = whole[:i] + bytes([whole[i] ^ (1 << draw(st.integers(0, 7)))]) + whole[i + 1 :]
        elif what == "byte" and i < len(whole):
            whole = whole[:i] + draw(st.binary(min_size=1, max_size=1)) + whole[i + 1 :]
        elif what == "cut":
            whole = whole[:j]
        elif what == "zeros":
            whole = whole[:i] + bytes(j - i) + whole[j:]
        elif what == "double":
            whole = whole[:j] + whole[i:j] + whole[j:]
        elif what == "lost":
            whole = whole[:i] + whole[j:]
        elif what == "put in":
            whole = whole[:i] + draw(st.binary(max_size=8)) + whole[i:]
        elif what == "move":
            whole = whole[:i] + whole[j:] + whole[i:j]
        else:
            whole = whole[:i] + draw(st.binary(max_size=16)) + whole[j:]
    return whole


NAMES = list(layers.names(Config))


def known_by(name: str) -> set[str]:
    """What a setting may be called in a complaint: by itself, or by a section that holds it."""
    parts = name.split(".")
    return {".".join(parts[:n]) for n in range(1, len(parts) + 1)}


answers = (
    texts
    | st.text(max_size=12)
    | st.lists(
        st.sampled_from(
            ["Rome", "the", "not", "5", "-5", "%", "x", "<", "3.5", "1,000", "'", '"', "**", "(", ")", ".", " ", "é"]
        ),
        max_size=6,
    ).map("".join)
)
