"""Action detectors: their contract, on networks of every kind."""

import pytest
import torch

import vidhub
from vidhub.errors import InputError
from vidhub.models import _factory
from vidhub.models.lfb import feature_bank
from vidhub.models.roi_detector import RoIDetector

NAMES = vidhub.list_models(task="detection")
BOXES = [torch.tensor([[4.0, 6.0, 40.0, 60.0], [10.0, 0.0, 63.0, 63.0]]), torch.tensor([[0.0, 0.0, 30.0, 50.0]])]


def clips(model, batch=2):
    frames = 8 if model.min_frames <= 8 else 16
    return torch.randn(batch, 3, frames, 64, 64, generator=torch.Generator().manual_seed(0))


def bank_of(model, count=3):
    return torch.randn(count, 2048, 10, 1, 1) if model.memory else None


@pytest.fixture(scope="module")
def small():
    """A detector on a small network: any recognition network can be the trunk."""
    torch.manual_seed(0)
    return RoIDetector(vidhub.create_model("x3d_xs", num_classes=0, depth=1.0), 3).eval()


@pytest.mark.parametrize("name", [name for name in NAMES if "large" not in name and "101" not in name])
def test_boxes_to_logits(name):
    model = vidhub.create_model(name, num_classes=5)
    with torch.inference_mode():
        bank = bank_of(model)
        out = model(clips(model), BOXES, bank)
        assert out.shape == (3, 5)
        # a box's logits are its own: whatever other boxes are in the clip
        alone = model(clips(model)[:1], [BOXES[0][1:]], bank if bank is None else bank[1:2])
    torch.testing.assert_close(alone[0], out[1], rtol=1e-3, atol=1e-4)
    assert model.data_config.num_frames >= 4
    assert model.config["num_classes"] == 5


def test_parts_give_the_whole(small):
    x = small.forward_boxes(small.forward_features(clips(small)), BOXES)
    assert x.shape == (3, small.num_features, 8, 8)
    assert torch.equal(small.forward_head(x), small(clips(small), BOXES))
    assert small.forward_head(x, pre_logits=True).shape == (3, small.num_features)


def test_no_boxes(small):
    assert small(clips(small), [torch.zeros(0, 4), torch.zeros(0, 4)]).shape == (0, 3)
    assert small(clips(small), [torch.zeros(0, 4), BOXES[1]]).shape == (1, 3)


def test_classifier(small):
    assert small.get_classifier().out_features == 3
    other = RoIDetector(vidhub.create_model("x3d_xs", num_classes=0, depth=1.0), 3, context=True)
    other.reset_classifier(0)
    assert other(clips(other), BOXES).shape == (3, 2 * small.num_features)


def test_wrong_boxes_and_banks(small):
    with pytest.raises(InputError, match="one tensor of boxes"):
        small(clips(small), BOXES[:1])
    with pytest.raises(InputError, match="one tensor of boxes"):
        small(clips(small), [torch.zeros(4), torch.zeros(1, 4)])
    with pytest.raises(InputError, match="leave the bank out"):
        small(clips(small), BOXES, torch.zeros(3, 8, 2, 1, 1))
    model = vidhub.create_model("slowonly_r50_lfb_max_ava", num_classes=2)
    with pytest.raises(InputError, match="pass the bank"):
        model(torch.zeros(1, 3, 4, 64, 64), BOXES[:1])


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        (None, "one tensor of boxes"),
        ([[[0, 0, 3, 3]], [[0, 0, 3, 3]]], "one tensor of boxes"),
        (torch.tensor([[2.0, 0, 0, 3, 3]]), "whole number below 2"),
        (torch.tensor([[0.5, 0, 0, 3, 3]]), "whole number below 2"),
        (torch.tensor([[0, torch.nan, 0, 3, 3]]), "x1 <= x2"),
        (torch.tensor([[0.0, 9, 0, 3, 3]]), "x1 <= x2"),
        (torch.tensor([[0.0, 90, 90, 99, 99]]), "lie in it"),
    ],
)
def test_boxes_that_are_none(small, boxes, reason):
    with pytest.raises(InputError, match=reason):
        small(clips(small), boxes)


def test_boxes_are_exact_in_low_precision(small):
    ramp = (torch.arange(32.0) - 16).expand(1, small.num_features, 32, 32)
    box = [torch.tensor([[513.0, 513.0, 513.9, 513.9]])]  # all 512 as bfloat16, a 20th of a cell to the left
    usual, low = (small.forward_boxes(ramp.to(dtype), box) for dtype in (torch.float32, torch.bfloat16))
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), usual, rtol=0, atol=0.005)


@pytest.mark.parametrize("shape", [(3, 2048, 5, 1, 1), (2, 512, 5, 1, 1), (2, 2048, 0, 1, 1), (2, 2048, 5)])
def test_banks_of_another_shape(shape):
    model = vidhub.create_model("slowonly_r50_lfb_max_ava", num_classes=2)
    with pytest.raises(InputError, match=r"expected a bank \(2, 2048, n, 1, 1\)"):
        model.forward_head(torch.zeros(2, 2048, 1, 1), torch.zeros(shape))


def test_every_network_with_a_bank_takes_the_same_clips():
    configs = {vidhub.create_model(f"slowonly_r50_lfb_{kind}_ava").data_config for kind in ("max", "avg", "nl")}
    assert [(config.num_frames, config.stride) for config in configs] == [(4, 16)]


def test_the_data_configuration_follows_the_arguments():
    with torch.device("meta"):
        config = vidhub.create_model("vit3d_base_ava", num_frames=32, img_size=160).data_config
        assert (config.num_frames, config.size) == (32, 160)
        assert vidhub.create_model("slowonly_r50_ava", in_chans=2).data_config.view_shape[0] == 2


def test_any_trunk_is_saved_and_built_again(tmp_path):
    torch.manual_seed(0)
    trunk = vidhub.create_model("x3d_xs", num_classes=0, depth=1.0)
    model = RoIDetector(trunk, 3, time_pool="max", context=True).eval()
    assert model.data_config.size == trunk.data_config.resize
    vidhub.save_checkpoint(model, tmp_path)
    again = vidhub.create_model(f"local-dir:{tmp_path}")
    assert torch.equal(again(clips(again), BOXES), model(clips(model), BOXES))
    assert again.data_config == model.data_config


def test_a_saved_detector_does_not_fetch_its_trunk_s_weights_again(monkeypatch):
    trained = vidhub.create_model("x3d_xs").state_dict()
    monkeypatch.setattr(_factory, "fetch_state_dict", lambda weights, progress: trained)
    model = vidhub.create_model("roi_detector", trunk="x3d_xs", trunk_args={"pretrained": True})
    assert "pretrained" not in model.config["trunk_args"]


def test_parameter_groups_reach_into_the_trunk(small):
    from timm.optim import param_groups_layer_decay

    groups = param_groups_layer_decay(small, weight_decay=0.05, layer_decay=0.5)
    assert len({g["lr_scale"] for g in groups}) > 4
    assert sum(len(g["params"]) for g in groups) == len(list(small.parameters()))


def test_gradients_reach_every_parameter():
    model = vidhub.create_model("slowfast_r50_acrn_ava", num_classes=2).train()
    model.set_grad_checkpointing()
    model(clips(model, 2)[:, :, :4], [b[:1] for b in BOXES]).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("features", [{}, {5: torch.zeros(4)}, {5: torch.zeros(1, 4), 6: torch.zeros(1, 3)}])
def test_features_that_are_none(features):
    with pytest.raises(InputError, match=r"a tensor \(N, C\) for each second"):
        feature_bank(features, 5)


def test_a_bank_is_filled_around_its_second():
    features = {second: torch.full((count, 4), float(second)) for second, count in ((8, 1), (10, 3), (30, 1))}
    bank = feature_bank(features, 10, window=6, per_second=2)
    assert bank.shape == (4, 12, 1, 1)
    # seconds 7 to 12; of three people two are kept
    assert bank[0, :, 0, 0].tolist() == [0, 0, 8, 0, 0, 0, 10, 10, 0, 0, 0, 0]
    drawn = feature_bank({10: torch.arange(8.0)[:, None]}, 10, window=2, per_second=4, generator=torch.Generator())
    assert len(set(drawn[0, 4:, 0, 0].tolist())) == 4
