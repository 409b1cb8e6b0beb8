"""LoRA: what is merged gives what the model with its matrices gives."""

import pytest
import torch

from datagen.config.train import LoraConfig
from datagen.train import lora
from tests.train.train_worlds import ids, model_of

pytest.importorskip("peft")
SETTINGS = LoraConfig(rank=3, alpha=7.0)


def test_matrices_change_nothing_at_first_and_merged_they_change_the_same():
    plain, adapted, text = model_of(), model_of(), ids(8)[None]
    lora.add(adapted, SETTINGS)
    assert torch.equal(adapted(text).logits, plain(text).logits)
    trained = {name: p for name, p in adapted.named_parameters() if p.requires_grad}
    assert trained.keys() == lora.own(adapted.state_dict()).keys()
    with torch.no_grad():
        for p in trained.values():
            p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())) / 10)
    changed = adapted(text).logits
    assert not torch.allclose(changed, plain(text).logits)
    plain.load_state_dict(dict(lora.merged(adapted.state_dict(), SETTINGS)))
    torch.testing.assert_close(plain(text).logits, changed)
