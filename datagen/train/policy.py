"""A causal language model made to run a shared prompt once, with any number of responses after it.

`adapt` leaves the model what it is (its weights, its class, its own forward), and lets four functions run it:

    packed     whole texts laid end to end → log-probs of the tokens asked for
    prefix     the prompt's tokens → keys and values of every layer
    responses  responses laid end to end, after those keys and values → log-probs of their tokens
    decode     one token of each response → logits of the next

Each is one call of the model and of its layers, with keys and values as outputs of the layers: so hooks on them (FSDP)
see all that the backward pass will want. Decoders whose layers look like Llama's are understood (Llama, Qwen2, Qwen3,
Mistral and others); `check` compares with the model's own forward and refuses what comes out different.

Source: a prompt's keys and values computed once for all of its responses, as PrefixGrouper does (arXiv 2506.05433),
here without a mask or padding (see `attention`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.graph import save_on_cpu
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from datagen.config.train import Activations
from datagen.errors import ConfigError
from datagen.train import attention

Past = list[tuple[Tensor, Tensor]]  # keys and values (1, H_kv, P, D) of every layer
Attend = Callable[[int, Tensor, Tensor, Tensor, float], Tensor]  # layer, q, k, v, scale → (B, H, T, D)
P = ParamSpec("P")
R = TypeVar("R")
NAME = "shared_prompt"
ROOM = 64  # tokens that there is room for at first
LOGITS = 1 << 26  # logits that stand in memory at once
WINDOWS = ("window", "chunk")  # in names of configured lengths that tokens, and not positions alone, must exceed
LENGTHS = ("position", "length", "context", *WINDOWS)
LONGEST_CHECK = 8192  # tokens of `check`
UNKNOWN = ("sliding_window", "softcap", "s_aux")  # what a layer may ask of attention, and is not computed here


class ResponseCache:
    """Keys and values of B responses, without their prompts': (B, H_kv, t, D) a layer, with room for more tokens."""

    def __init__(self) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []
        self.length = 0

    def add(self, index: int, pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Add one token's at a layer and return all there are. The token counts once `length` is raised."""
        if index == len(self.layers):
            k, v = (x.new_empty(*x.shape[:2], ROOM, x.shape[3]) for x in pair)
            self.layers.append((k, v))
        k, v = self.layers[index]
        if self.length == k.shape[2]:
            k, v = self.layers[index] = torch.cat([k, torch.empty_like(k)], 2), torch.cat([v, torch.empty_like(v)], 2)
        for buffer, x in ((k, pair[0]), (v, pair[1])):
            buffer[:, :, self.length] = x[:, :, 0]
        return k[:, :, : self.length + 1], v[:, :, : self.length + 1]

    def select(self, rows: Tensor) -> None:
        """Go on with these of the responses."""
        self.layers = [(k[rows], v[rows]) for k, v in self.layers]


def adapt(model: Any) -> None:
    """Make the model one that the functions here can run. Raises ConfigError if its layers are of another kind."""
    name = type(model).__name__
    inner: Any = getattr(model, "model", None)
    there = all(hasattr(inner, part) for part in ("embed_tokens", "layers", "norm", "rotary_emb"))
    if not there or not hasattr(model, "lm_head"):
        raise ConfigError(f"{name} is no decoder like Llama or Qwen, which is what can be trained here")
    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    for layer in inner.layers:
        if not hasattr(layer, "self_attn") or not hasattr(layer, "input_layernorm"):
            raise ConfigError(f"{name} has layers of another kind than Llama or Qwen: it can't be trained here")
        layer.forward = partial(_layer, layer, layer.forward)
    model.forward = partial(_forward, model, model.forward)


def _attention(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **given: Any) -> tuple[Tensor, None]:
    attend: Attend | None = given.pop("attend", None)
    if attend is None:
        return sdpa_attention_forward(module, query, key, value, mask, **given)  # pyright: ignore[reportReturnType]
    if asked := next((name for name in UNKNOWN if given.get(name) is not None), None):
        raise ConfigError(f"{type(module).__name__} asks for {asked}: {given[asked]}, which can't be trained here")
    scale = given.get("scaling") or query.shape[-1] ** -0.5
    return attend(module.layer_idx, query, key, value, scale).transpose(1, 2), None


def _layer(layer: Any, original: Callable[..., Any], hidden: Tensor, *args: Any, **given: Any) -> Any:
    attend: Attend | None = given.pop("attend", None)
    if attend is None:
        return original(hidden, *args, **given)
    keys_only, kept = given.pop("keys_only"), []

    def noting(index: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        kept.append((k, v))
        return torch.zeros_like(q) if keys_only else attend(index, q, k, v, scale)

    if keys_only:
        layer.self_attn(hidden_states=layer.input_layernorm(hidden), attention_mask=None, attend=noting, **given)
    else:
        hidden = original(hidden, attention_mask=None, attend=noting, **given)
    return hidden, *kept[0]


def _forward(
    model: Any, original: Callable[..., Any], *args: Any, run: Callable[..., Any] | None = None, **given: Any
) -> Any:
    return original(*args, **given) if run is None else run(model, *args, **given)


def _as_forward(run: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """A function of a model that runs as its forward does: by calling the model, so that hooks on it see the call."""

    @wraps(run)
    def call(model: Any, *args: P.args, **given: P.kwargs) -> R:
        return model(*args, run=run, **given)

    return call


def _through(
    model: Any,
    ids: Tensor,
    positions: Tensor,
    attend: Attend,
    activations: Activations = "keep",
    keys_only: bool = False,
) -> tuple[Tensor, Past]:
    """Hidden states (B, T, d) before the last norm, and the keys and values of every layer. `keys_only`: no more of the
    last layer than those. Until the backward pass all activations are kept, or the layers' inputs alone, or those in
    the host's memory.
    """
    inner = model.model
    hidden, past = inner.embed_tokens(ids), []
    cos_sin = inner.rotary_emb(hidden, positions)
    again = activations != "keep" and torch.is_grad_enabled()
    with save_on_cpu(pin_memory=ids.is_cuda) if again and activations == "offload" else nullcontext():
        for i, layer in enumerate(inner.layers):
            last = keys_only and i == len(inner.layers) - 1
            run = partial(layer, attend=attend, keys_only=last, position_ids=positions, position_embeddings=cos_sin)
            if again:
                hidden, k, v = checkpoint(run, hidden, use_reentrant=False, preserve_rng_state=False)  # pyright: ignore
            else:
                hidden, k, v = run(hidden)
            past.append((k, v))
    return hidden, past


@_as_forward
def packed(
    model: Any, ids: Tensor, lengths: list[int], wanted: Tensor, targets: Tensor, activations: Activations = "keep"
) -> tuple[Tensor, Tensor]:
    """ids (T,): texts of these lengths, end to end; wanted, targets (W,): places, and the tokens that come after them →
    log-probs of the targets and entropies, (W,) float32.
    """

    def attend(index: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        return attention.shared(q, k, v, None, lengths, scale)

    hidden, _ = _through(model, ids[None], _positions(0, lengths, ids), attend, activations)
    return logprobs(model.lm_head, model.model.norm(hidden[0, wanted]), targets, 1.0)


def _positions(start: int, lengths: list[int], ids: Tensor) -> Tensor:
    return torch.cat([torch.arange(start, start + n, device=ids.device) for n in lengths])[None]


@_as_forward
def prefix(model: Any, ids: Tensor, activations: Activations = "keep") -> Past:
    """ids (P,), at least one → keys and values of every layer."""

    def attend(index: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        return attention.causal(q, k, v, scale)

    positions = torch.arange(len(ids), device=ids.device)[None]
    return _through(model, ids[None], positions, attend, activations, keys_only=True)[1]


@_as_forward
def responses(
    model: Any,
    ids: Tensor,
    targets: Tensor,
    lengths: list[int],
    past: Past,
    temperature: float = 1.0,
    activations: Activations = "keep",
) -> tuple[Tensor, Tensor]:
    """ids, targets (T,): responses of these lengths, end to end → log-probs of the targets and entropies, (T,) float32
    (float64 of a float64 model).
    """

    def attend(index: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        return attention.shared(q, k, v, past[index], lengths, scale)

    positions = _positions(past[0][0].shape[2], lengths, ids)
    hidden, _ = _through(model, ids[None], positions, attend, activations)
    return logprobs(model.lm_head, model.model.norm(hidden)[0], targets, temperature)


def logprobs(head: nn.Module, hidden: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probs and entropies (T,) of the tokens after hidden states (T, d). Logits are formed a slice at a time and,
    where there are more slices than one, formed again for the backward pass.
    """
    size = max(1, LOGITS // head.weight.shape[0])  # pyright: ignore[reportIndexIssue]
    slices = list(zip(hidden.split(size), targets.split(size), strict=True))
    run = partial(_slice, head, temperature)
    if len(slices) > 1 and torch.is_grad_enabled():
        run = partial(checkpoint, run, use_reentrant=False, preserve_rng_state=False)
    made: Any = [run(*part) for part in slices]
    return torch.cat([logp for logp, _ in made]), torch.cat([entropy for _, entropy in made])


def _slice(head: nn.Module, temperature: float, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    logits = head(hidden)
    logp = (logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature).log_softmax(-1)
    with torch.no_grad():
        entropy = -(logp.exp() * logp).sum(-1)
    return logp.gather(-1, targets[:, None])[:, 0], entropy


@_as_forward
def decode(
    model: Any, ids: Tensor, positions: Tensor, pasts: Sequence[Past], counts: Sequence[int], cache: ResponseCache
) -> Tensor:
    """ids, positions (B,): the next token of B responses, `counts` to each prompt → logits (B, V) of the one after."""

    def attend(index: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        return attention.decode(q, *cache.add(index, (k, v)), [past[index] for past in pasts], counts, scale)

    hidden, _ = _through(model, ids[:, None], positions[:, None], attend)
    cache.length += 1
    return model.lm_head(model.model.norm(hidden[:, 0]))


@torch.no_grad()
def check(model: Any) -> None:
    """Raise ConfigError unless the model can be computed here: the angles of its positions are the same in texts of any
    length, and log-probs agree with those of its own forward, twice, on random tokens, more than twice as many as any
    window that the configuration names.
    """
    name, draw = type(model).__name__, torch.Generator().manual_seed(0)
    if not _steady_angles(model):
        raise ConfigError(
            f"{name}: the angles of its positions depend on how long a text is, which can't be trained here"
        )
    n = min(24 + 2 * _largest(model.config, WINDOWS), LONGEST_CHECK)
    ids = torch.randint(model.config.vocab_size, (n,), generator=draw).to(model.device)
    offs = []
    for _ in range(2):
        try:
            theirs = model(ids[None], logits_to_keep=13).logits[0, :-1].float().log_softmax(-1)
        except ValueError as e:  # such as a cap on the scores
            raise ConfigError(f"{name} computes its attention in a way that can't be used here: {e}") from e
        ours, _ = responses(model, ids[n - 13 : -1], ids[n - 12 :], [12], prefix(model, ids[: n - 13]))
        offs.append(ours - theirs.gather(-1, ids[n - 12 :, None])[:, 0])
    off = max(x.abs().max().item() for x in offs)
    if not off < (0.2 if model.dtype in (torch.float16, torch.bfloat16) else 1e-3):
        raise ConfigError(f"{name} gives other log-probs here than by its own code, or the second time (by {off:.3g})")


def _steady_angles(model: Any) -> bool:
    """Whether the first positions turn by the same angles alone, beside one beyond all configured lengths, again."""
    first = torch.arange(8, device=model.device)[None]
    far = first.new_tensor([[2 * _largest(model.config, LENGTHS) + 1]])
    rotary, like = model.model.rotary_emb, model.model.embed_tokens.weight[:1]
    alone, beside, again = (rotary(like, at) for at in (first, torch.cat([first, far], 1), first))
    return all(
        torch.allclose(a, b[:, :8]) and torch.allclose(a, c) for a, b, c in zip(alone, beside, again, strict=True)
    )


def _largest(config: Any, named: Sequence[str]) -> int:
    """The largest whole number in a configuration, however deep, whose name has one of these words in it."""
    found = [0]

    def look(values: dict[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, dict):
                look(value)
            elif isinstance(value, int) and any(word in name for word in named):
                found.append(value)

    look(config.to_dict())
    return max(found)
