"""2D networks of timm as a start for 3D ones."""

import pytest
import timm
import torch
from safetensors.torch import save

import vidhub
from vidhub.errors import InputError, WeightsError
from vidhub.models._inflate import inflate_state_dict


@pytest.fixture(scope="module")
def image_model():
    torch.manual_seed(0)
    model = timm.create_model("resnet50", pretrained=False).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model


def test_a_still_clip_gives_the_image_features(image_model):
    model = vidhub.create_model("c2d_nopool_r50")
    inflate_state_dict(model, image_model.state_dict())
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        features = model.forward_features(image[:, :, None].expand(-1, -1, 4, -1, -1))
        expected = image_model.forward_features(image)
    torch.testing.assert_close(features, expected[:, :, None].expand_as(features), rtol=1e-4, atol=1e-4)


def test_inflated_kernels_sum_to_the_image_kernel(image_model):
    model = vidhub.create_model("i3d_r50")
    inflate_state_dict(model, image_model.state_dict())
    assert model.stem.conv.weight.shape[2] == 5
    torch.testing.assert_close(model.stem.conv.weight.sum(2), image_model.conv1.weight)


def test_pretrained_names_of_timm(image_model, monkeypatch):
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, in_chans: image_model)
    model = vidhub.create_model("slowonly_r50", pretrained="timm:resnet50", num_classes=3)
    torch.testing.assert_close(model.layer1[0].conv2.weight[:, :, 0], image_model.layer1[0].conv2.weight)
    assert model.weights is None


def test_image_weights_come_from_the_cache_alone_when_offline(hub, monkeypatch):
    image = timm.create_model("resnet10t").state_dict()
    hub.repos["timm/resnet10t.c3_in1k"] = {"model.safetensors": save(image)}
    monkeypatch.setenv("VIDHUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="switched off by VIDHUB_OFFLINE"):
        vidhub.create_model("tsn", backbone="resnet10t", pretrained="timm:resnet10t")
    assert hub.requests == []
    monkeypatch.delenv("VIDHUB_OFFLINE")
    vidhub.create_model("tsn", backbone="resnet10t", pretrained="timm:resnet10t")
    hub.requests.clear()
    monkeypatch.setenv("VIDHUB_OFFLINE", "1")
    model = vidhub.create_model("tsn", backbone="resnet10t", pretrained="timm:resnet10t")
    assert torch.equal(model.backbone.conv1[0].weight, image["conv1.0.weight"])
    assert hub.requests == []


def test_other_channels_than_the_image_network_s(hub):
    image = timm.create_model("resnet50").state_dict()
    hub.repos["timm/resnet50.a1_in1k"] = {"model.safetensors": save(image)}
    model = vidhub.create_model("slowonly_r50_flow", pretrained="timm:resnet50")
    assert model.stem.conv.weight.shape[1] == 2
    assert torch.equal(model.layer1[0].conv2.weight[:, :, 0], image["layer1.0.conv2.weight"])


@pytest.mark.parametrize(
    ("arch", "pretrained", "error", "reason"),
    [
        ("slowonly_r50", "resnet50", InputError, "timm:NAME"),
        ("slowonly_r50", "timm:resnet5000", InputError, "timm has no model"),
        ("x3d_m", "timm:resnet50", InputError, "no image network"),
    ],
)
def test_refusals(arch, pretrained, error, reason):
    with pytest.raises(error, match=reason):
        vidhub.create_model(arch, pretrained=pretrained)


def test_a_network_that_does_not_fit(image_model):
    with pytest.raises(WeightsError, match="does not fit slowonly_r101"):
        inflate_state_dict(vidhub.create_model("slowonly_r101"), image_model.state_dict())
