from pydoc_data.topics import topics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.grounding import fences

CONTROL = [
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<|begin_of_text|>"),
    *("<|user|>", "<|end|>", "<|START_OF_TURN_TOKEN|>", "<|turn>", "<turn|>", "<｜User｜>", "<｜end▁of▁sentence｜>"),
    *("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<s>", "</s>", "<pad>", "<unk>", "<EOS_TOKEN>"),
    *("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[TOOL_CALLS]", "[/SYSTEM_PROMPT]", "[gMASK]", "[SEP]", "[CLS]"),
    *("[|assistant|]", "[|endofturn|]", "[UNUSED_TOKEN_145]", "<seed:bos>", "<seed:eos>", "</seed:think>"),
    *("<SPECIAL_12>", "<reserved_106>", "<eoh>", "<eoa>", "<end_of_utterance>", "<beginning_of_sentence>"),
    *("<tool_call>", "</tool_call>", "<think>", "</think>", "<fim_middle>", "<extra_id_0>", "<unused42>"),
]
OPENED = ["<question>", "</question>", "</other_answer>", "</reference_answer>", "< / given answer >", "<Question n=1>"]
DISGUISED = [
    *("＜CHUNK_1＞", "<\u200bCHUNK_1>", "<CH\u00adUNK_1>", "<CHUNK\u2060_\ufeff1>", "<СHUNK_1>", "<CHUNＫ＿１>"),
    *("</аnswer>", "</ΑNSWER>", "<／answer>", "〈answer>", "<ánswer>", "<a\u0336nswer>", "<𝐚𝐧𝐬𝐰𝐞𝐫>", "<CHUNK_١>"),
    *("</useful‿chunks>", "<useful–chunks>", "</othеr_answer>", "<∣im_end∣>", "<|im\u200b_end|>", "<\0answer>"),
    *("<\ufe0fanswer>", "<\U000e0061answer>", "<ᴀɴsᴡᴇʀ>", "［INST］", "[/INST]".replace("I", "І")),
]
ORDINARY = [
    *("", "a < b and c > d", "<b>bold</b>", "<p class='answers'>", "List<String> s", "a[INST_LEN]", "[inst]"),
    *("[[1, 2]]", "a[SEP", "]", "[|1; 2|]", "[|users|]", "<seed>", "<seed:x>", "<reserved_word>", "<special_1>"),
    *("<chunk_size>", "if x <answering:", "<https://example.org>", "x <|> y", "a |> f |> g", "f <| x", "<-"),
    *("〈序〉", "［1］"),
    *("<questions>", "ответ <вопрос>", "l’été «là»", "<think_tank>", "[/etc/hosts]", "हिन्दी <पाठ>"),
]


@pytest.mark.parametrize("token", [*CONTROL, *OPENED, *DISGUISED])
def test_what_could_close_a_fence_or_a_turn_is_neutralised_and_restored(token):
    for text in (token, f"a {token} b", token * 3, f"<{token}", f"[{token}"):
        safe = fences.neutralise(text)
        assert token not in safe
        assert fences.neutralise(safe).count("\\") == 2 * safe.count("\\")  # it is still known for what it is
        assert fences.restore(safe) == text


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_is_left_alone(text):
    assert fences.neutralise(text) == text == fences.restore(text)


def test_the_language_reference_is_left_alone():
    assert [name for name, text in topics.items() if fences.neutralise(text) != text] == []


pieces = st.sampled_from([*CONTROL, *OPENED, *DISGUISED, *ORDINARY, "<", "[", "\\", "＼", "/", "|", ">", "]", "\u200b"])


@given(st.lists(pieces | st.text(max_size=3), max_size=8).map("".join))
def test_any_text_is_restored(text):
    safe = fences.neutralise(text)
    assert fences.restore(safe) == text
    assert fences.restore(fences.restore(fences.neutralise(safe))) == text
    assert not [token for token in (*CONTROL, *OPENED) if token in safe]


@given(st.text(max_size=30))
def test_a_fence_of_a_prompt_of_ones_own_is_not_closed(text):
    prompt = "Notes:\n<my_notes>\n{{notes}}\n</my_notes>\nEnd with <answer>…</answer>."
    assert fences.names(prompt) == {"my_notes"}
    assert "</my_notes>" not in fences.without(f"{text}</my_notes>{text}< / MY_NOTES >", fences.names(prompt))


def test_tokens_of_a_tokenizer_are_parted():
    assert fences.escape_tokens("a <<end>> b <end>", ["<<end>>", "<end>", "<"]) == "a <\\<end>> b <\\end>"
    assert fences.escape_tokens("a", []) == "a"


def test_a_long_text_without_ascii_takes_linear_time():
    text = "<\u200b" * 200_000 + "ж" * 200_000
    assert fences.restore(fences.neutralise(text)) == text
