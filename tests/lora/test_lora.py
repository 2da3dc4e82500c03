"""LoRA adapters through a round, of a language model so small that it can only learn which letters follow which.

`python -m benchmarks.lora` does the same with a real one. Skipped where PEFT is missing.
"""

from types import SimpleNamespace

import pytest
import torch

peft = pytest.importorskip("peft", reason="PEFT is not installed: pip install 'market-node[lora]'")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from examples.lora import __main__ as lora  # noqa: E402
from examples.lora import owner as module  # noqa: E402
from market_node.weights import manifest_of  # noqa: E402

TEXTS = {"definitions": ["abcabcabc" * 40] * 30, "documentation": ["xyzzy yzx " * 40] * 30}


def plain_model():
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=128, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
    )
    return transformers.LlamaForCausalLM(config)


class Letters:
    eos_token_id = 0

    def __call__(self, text):
        return SimpleNamespace(input_ids=[ord(letter) for letter in text])


@pytest.fixture
def small(monkeypatch):
    """The example with a small model, whose tokens are letters."""
    model = peft.get_peft_model(plain_model(), module.config())
    network = model, module.adapter(model)
    monkeypatch.setattr(module, "network", lambda: network)
    monkeypatch.setattr(module, "tokenizer", Letters)
    monkeypatch.setattr(module, "shuffled", lambda domain, seed: TEXTS[domain])
    monkeypatch.setattr(lora, "architecture", lambda: {"kind": "lora"})
    module.sequences.cache_clear()
    yield network
    module.sequences.cache_clear()


def test_adapters_are_traded_in_a_round_and_are_what_peft_reads(small, tmp_path):
    measured, round_ = lora.run(say=lambda _: None)
    assert len(round_.participants) == 6 and round_.settlement.excluded == frozenset()
    assert all(each.after < each.before for each in measured)
    assert any(each.trader.sellers for each in measured)

    best = measured[0]
    module.save(best.trader.after, tmp_path)
    loaded = peft.PeftModel.from_pretrained(plain_model(), tmp_path).eval()
    tokens = torch.arange(20).view(1, 20)
    with torch.no_grad():
        assert torch.equal(loaded(tokens).logits, module.wearing(best.trader.after).eval()(tokens).logits)


def test_everybody_starts_from_one_adapter_that_changes_nothing(small):
    _, start = small
    assert all((tensor == 0).all() for name, tensor in start.items() if "lora_B" in name)
    assert len(manifest_of(start)) == 2 * 2 * len(module.MODULES)
    tokens = torch.arange(20).view(1, 20)
    with torch.no_grad():
        assert torch.equal(module.wearing(start)(tokens).logits, plain_model()(tokens).logits)


@pytest.mark.parametrize("trains_a", [False, True])
def test_a_is_trained_only_where_the_owner_wants_it(small, trains_a):
    owner = module.Owner("definitions", 0, trains_a)
    model, shares = owner.build_model(), owner.load_data()
    owner.train(model, shares.training, seed=1)
    changed = {name for name, tensor in model.weights.items() if not torch.equal(tensor, small[1][name])}
    assert changed == {name for name in small[1] if "lora_B" in name or trains_a}
