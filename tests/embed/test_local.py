"""Batches spread over devices."""

import pytest

from datagen.embed import local, models
from datagen.errors import UserError
from tests.embed.tiny_encoder import save_tiny

pytest.importorskip("sentence_transformers")


def test_several_devices_have_their_fixed_share_of_the_batches(tmp_path):
    """And give the bytes that one gives."""
    import torch

    texts = [" ".join(f"w{(i * k) % 100}" for i in range(14)) for k in range(12)]
    batches = [texts[i : i + 2] for i in range(0, 12, 2)]
    one, *three = (models.load(str(save_tiny(tmp_path / str(i))), None, "cpu", "float32") for i in range(4))
    shares: dict[int, list[str]] = {}

    class Watched(torch.nn.Module):
        def __init__(self, model, number):
            super().__init__()
            self.model, self.number, self.device = model, number, model.device

        def encode(self, batch, **options):
            shares.setdefault(self.number, []).extend(batch)
            return self.model.encode(batch, **options)

    replicas = [Watched(model, number) for number, model in enumerate(three)]
    spread = list(local.spread(batches, replicas))  # pyright: ignore[reportArgumentType]
    assert [v.tobytes() for v in spread] == [v.tobytes() for v in local.spread(batches, [one])]
    assert shares == {i: batches[i] + batches[i + 3] for i in range(3)}


def test_what_fails_on_one_device_fails():
    class Broken:
        def encode(self, batch, **options):
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(local.spread([["a"], ["b"], ["c"]], [Broken(), Broken()]))  # pyright: ignore[reportArgumentType]


def test_a_device_without_the_memory_is_named():
    class Small:
        device = "cuda:1"

        def encode(self, batch, **options):
            import torch

            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(UserError, match=r"^embed\.device: cuda:1 has too little memory"):
        list(local.spread([["a"]], [Small()]))  # pyright: ignore[reportArgumentType]
