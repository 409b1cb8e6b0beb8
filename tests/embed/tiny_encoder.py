"""SentenceTransformers models of a few kilobytes with random weights: one token a word, w0 … w99."""

from pathlib import Path

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(100))]


def tiny_tokenizer():
    """A token for every word; two special ones around a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.post_processor = processors.TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def save_tiny(folder: Path, seed: int = 0, window: int = 16, prompt: str = "") -> Path:
    """A transformer; its folder."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    shape = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    BertModel(shape).save_pretrained(folder / "bert")
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer(), **special).save_pretrained(folder / "bert")
    modules = [Transformer(str(folder / "bert"), max_seq_length=window), Pooling(16)]
    prompts = {"prompts": {"passage": prompt}, "default_prompt_name": "passage"} if prompt else {}
    SentenceTransformer(modules=modules, device="cpu", **prompts).save(str(folder / "model"))
    return folder / "model"


def save_static(folder: Path, weights=None) -> Path:
    """An average of word vectors; its folder."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    words = StaticEmbedding(tiny_tokenizer(), weights, embedding_dim=None if weights is not None else 8)
    SentenceTransformer(modules=[words], device="cpu").save(str(folder))  # pyright: ignore[reportArgumentType]
    return folder
