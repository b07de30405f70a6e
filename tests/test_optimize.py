"""The fast form of networks; that it exists for every network is tested with them."""

import platform
import subprocess
import sys

import numpy as np
import pytest
import torch
from test_models import light_arguments, tiny_clip
from torch import nn

import vidhub
from vidhub.engine.optimize import fold_batch_norms
from vidhub.errors import InputError


def trained(name, **kwargs):
    """A network whose norms have statistics, as after training."""
    torch.manual_seed(0)
    model = vidhub.create_model(name, num_classes=5, **kwargs)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return model


@pytest.mark.parametrize("name", ["x3d_xs", "slowfast_r50", "tsm_mobilenet_v2", "stgcnpp"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_outputs_stay(name, channels_last):
    model = trained(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x = tiny_clip(model, batch=2)
    fast = vidhub.optimize(model, x, channels_last=channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(fast(x), model(x), rtol=1e-3, atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())


def test_most_norms_of_a_3d_network_are_folded():
    model = trained("x3d_xs")
    norms = sum(isinstance(m, nn.BatchNorm3d) for m in model.modules())
    with torch.inference_mode():
        assert fold_batch_norms(model, (tiny_clip(model),)) == norms


@pytest.mark.parametrize("name", ["vit3d_base", "timesformer_base_divided", "stgcnpp"])
def test_bfloat16_takes_and_gives_float32(name):
    model = trained(name, **light_arguments(name))
    x = tiny_clip(model)
    fast = vidhub.optimize(model, x, dtype=torch.bfloat16, tolerance=0.2)
    assert next(fast.parameters()).dtype == torch.bfloat16
    with torch.inference_mode():
        assert fast(x).dtype == torch.float32


def test_it_predicts_like_the_original():
    tiny_video = np.random.default_rng(0).integers(0, 255, (20, 40, 50, 3), dtype=np.uint8)
    model = vidhub.create_model("x3d_xs", num_classes=5)
    fast = vidhub.optimize(model, tiny_clip(model))
    plain, other = (vidhub.predict(network, tiny_video) for network in (model, fast))
    assert plain.labels == other.labels
    assert plain.scores == pytest.approx(other.scores, abs=1e-4)


class Twice(nn.Module):
    """Looks at what a convolution gives before and after the norm."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.norm.running_mean.fill_(3.0)

    def forward(self, x):
        x = self.conv(x)
        return x + self.norm(x)


def test_a_change_of_the_outputs_is_refused():
    with pytest.raises(InputError, match="differ by"):
        vidhub.optimize(Twice().eval(), torch.randn(1, 3, 4, 4))


@pytest.mark.parametrize("dtype", [torch.int8, "int8"])
def test_unknown_dtype(dtype):
    with pytest.raises(InputError, match="dtype must be"):
        vidhub.optimize(Twice(), torch.randn(1, 3, 4, 4), dtype=dtype)


def test_feature_maps_come_out_alike():
    model = vidhub.create_model("x3d_xs", depth=0.5, features_only=True)
    x = torch.randn(1, 3, 4, 32, 32)
    fast = vidhub.optimize(model, x, dtype="float32", channels_last=True)
    with torch.inference_mode():
        for a, b in zip(fast(x), model.eval()(x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_the_original_stays_in_its_modes_and_can_be_saved(tmp_path):
    model = vidhub.create_model("x3d_xs", num_classes=2, depth=0.5).train()
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm3d)).eval()
    fast = vidhub.optimize(model, tiny_clip(model), channels_last=False)
    assert model.training
    assert not norm.training
    vidhub.save_checkpoint(model, tmp_path)
    with pytest.raises(InputError, match="save the network that it was made from"):
        vidhub.save_checkpoint(fast, tmp_path)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such switch")
def test_large_tensors_get_the_memory_of_earlier_ones():
    code = """
import resource, torch, vidhub
model = vidhub.create_model("x3d_xs", num_classes=2)
vidhub.optimize(model, torch.zeros(1, 3, 4, 32, 32))
for _ in range(4):  # until one has found its place
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert faults < 1000  # of 16384 pages
