"""What takes part in training."""

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

import vidhub
from vidhub.engine.optim import freeze, train_mode
from vidhub.engine.sync_batch_norm import convert_sync_batch_norm


@pytest.mark.parametrize(
    ("name", "frozen"),
    [
        ("x3d_xs", ("stem.", "layer1.")),
        ("tsm_r50", ("backbone.conv1.", "backbone.bn1.", "backbone.layer1.")),
        ("tpn_slowonly_r50", ("trunk.stem.", "trunk.layer1.")),
        ("vit3d_small", ("patch_embed.", "blocks.0.", "blocks.1.")),
        ("mvit_v2_small", ("class_token", "patch_embed.", "blocks.0.", "blocks.1.")),
        ("stgcnpp", ("data_bn.", "layer1.", "layer2.")),
    ],
)
def test_the_first_stages_and_what_is_before_them_are_frozen(name, frozen):
    with torch.device("meta"):
        model = vidhub.create_model(name)
    freeze(model, stages=2)
    train_mode(model, freeze_stages=2)
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == [
        n for n, _ in model.named_parameters() if n.startswith(frozen)
    ]
    for n, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            assert module.training != f"{n}.".startswith(frozen), n


def test_batch_norms_of_all_processes_keep_their_activations():
    norm = BatchNormAct2d(3).eval()
    norm.running_mean.uniform_(-1, 1)
    model = convert_sync_batch_norm(nn.Sequential(norm), torch.device("cpu"))
    assert model[0] is not norm
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(model(x), norm(x))
