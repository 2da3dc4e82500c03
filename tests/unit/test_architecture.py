"""Networks are built as asked, from a seed that is theirs alone."""

import pytest
import torch

from market_node.architecture import build
from market_node.errors import BadInput

MLP = {"kind": "mlp", "input": [1, 4, 4], "hidden": [12], "classes": 10}
CNN = {"kind": "cnn", "input": [1, 28, 28], "classes": 10}


def weights(architecture, seed):
    return torch.cat([weight.detach().flatten() for weight in build(architecture, seed).parameters()])


@pytest.mark.parametrize("architecture", [MLP, CNN], ids=["mlp", "cnn"])
def test_a_seed_fixes_the_base_checkpoint(architecture):
    base = weights(architecture, 1)
    assert torch.equal(base, weights(architecture, 1))
    assert not torch.equal(base, weights(architecture, 2))


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    build(MLP, 1)
    assert torch.equal(torch.rand(3), expected)


def test_the_small_cnn_has_44426_weights():
    assert sum(weight.numel() for weight in build(CNN, 0).parameters()) == 44_426


def test_the_mlp_has_the_layers_it_was_asked_for():
    assert [tuple(weight.shape) for weight in build(MLP, 0).parameters()] == [(12, 16), (12,), (10, 12), (10,)]


@pytest.mark.parametrize(
    ("architecture", "told"),
    [
        ({"kind": "transformer"}, "no architecture 'transformer'"),
        ({}, "no architecture None"),
        ({"kind": "mlp", "input": [4], "classes": 2}, "input, hidden, classes"),
        ({**MLP, "dropout": 0.5}, "dropout"),
        ({**CNN, "input": [1, 8, 8]}, "at least 16 x 16, not 8 x 8"),
    ],
)
def test_an_architecture_that_cannot_be_built_is_refused(architecture, told):
    with pytest.raises(BadInput, match=told):
        build(architecture, 0)
