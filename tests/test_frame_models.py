"""What the per-frame networks promise beyond what all networks do."""

from itertools import combinations

import pytest
import torch
from torch import nn

import vidhub
from vidhub.engine.prepare import mirrored_classes
from vidhub.errors import InputError
from vidhub.models.tanet import AdaptiveTime
from vidhub.models.tin import shift_groups
from vidhub.models.tpn import TPN
from vidhub.models.tsm import StreamingTSM, TemporalShift
from vidhub.weights.tables import get_weights
from vidhub.weights.types import DataConfig


def randomize(model):
    """Weights that let features through, whatever the networks start with."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            fan = max(p[0].numel(), 1) if p.ndim > 1 else 4
            p.copy_(torch.randn(p.shape, generator=generator) / fan**0.5)
    return model


def clip(frames, side=64, batch=1):
    return torch.randn(batch, 3, frames, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("backbone", "size"),
    [("convnext_atto", 64), ("vit_tiny_patch16_224", 224), ("swin_tiny_patch4_window7_224", 224), ("regnetx_002", 64)],
)
def test_tsn_is_the_image_network_averaged_over_frames(backbone, size):
    import timm

    model = vidhub.create_model("tsn", backbone=backbone, num_classes=3)
    image = timm.create_model(backbone, num_classes=0).eval()
    image.load_state_dict(model.backbone.state_dict())
    x = clip(2, size)
    with torch.inference_mode():
        expected = model.head.fc(torch.stack([image(x[:, :, t]) for t in range(2)]).mean(0))
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)
        features, maps = model.forward_intermediates(x)
        torch.testing.assert_close(model.forward_head(features), expected, rtol=1e-4, atol=1e-5)
    assert [m.shape[1] for m in maps] == [info["num_chs"] for info in model.feature_info]
    assert all(m.shape[2] == 2 for m in maps)


def test_unknown_backbones_and_sizes():
    with pytest.raises(InputError, match="timm has no backbone 'resnet5'"):
        vidhub.create_model("tsn", backbone="resnet5")
    with pytest.raises(InputError, match="leave img_size out"):
        vidhub.create_model("tsn", backbone="resnet18", img_size=64)
    with pytest.raises(InputError, match="no residual blocks"):
        vidhub.create_model("tsm", backbone="vgg11")
    assert vidhub.create_model("tsn", backbone="vit_tiny_patch16_224", img_size=64)(clip(2)).shape == (1, 400)


def test_image_weights_fill_the_backbone_under_what_was_inserted(monkeypatch):
    import timm

    source = randomize(timm.create_model("resnet50", num_classes=1000))
    monkeypatch.setattr(
        timm,
        "create_model",
        lambda *a, create=timm.create_model, **kw: source if kw.get("pretrained") else create(*a, **kw),
    )
    for name in ("tsn_r50", "tsm_r50_nl_gaussian", "tin_r50", "tanet_r50"):
        model = vidhub.create_model(name, pretrained="timm:resnet50.a1_in1k", num_classes=2)
        own = dict(model.backbone.named_parameters())
        for key, value in source.named_parameters():
            if not key.startswith("fc."):
                found = [k for k in own if k.replace("wrapped.", "") == key]
                assert len(found) == 1, key
                assert torch.equal(own[found[0]], value)


def test_shift():
    x = torch.arange(2 * 4 * 8.0).view(8, 8, 1, 1)  # two clips of four frames
    out = TemporalShift(4, 8)(x).view(2, 4, 8)
    frames = x.view(2, 4, 8)
    assert torch.equal(out[:, :3, 0], frames[:, 1:, 0])
    assert torch.equal(out[:, 1:, 1], frames[:, :3, 1])
    assert not out[:, 3, 0].any()
    assert not out[:, 0, 1].any()
    assert torch.equal(out[:, :, 2:], frames[:, :, 2:])
    assert torch.equal(TemporalShift(4, 8, bidirectional=False)(x).view(2, 4, 8)[:, :, 0], frames[:, :, 0])


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenetv2_050", "convnext_atto"])
def test_a_stream_gives_what_the_one_way_network_gives_for_the_clip(backbone):
    model = randomize(vidhub.create_model("tsm", backbone=backbone, num_frames=4, bidirectional=False, num_classes=3))
    both = randomize(vidhub.create_model("tsm", backbone=backbone, num_frames=4, num_classes=3))
    stream, x = StreamingTSM(both), clip(4, batch=2)
    with torch.inference_mode():
        frames = [stream(x[:, :, t]) for t in range(4)]
        torch.testing.assert_close(torch.stack(frames).mean(0), model(x), rtol=1e-3, atol=1e-4)
        stream.reset()
        torch.testing.assert_close(stream(x[:, :, 0]), frames[0])
    assert not torch.allclose(model(x), both(x))


def test_runs_are_whole_and_a_stream_forgets_after_each():
    with pytest.raises(InputError, match="multiple of shift_frames=8, not 4"):
        vidhub.create_model("tsm_mobileone_s4", num_frames=4)
    model = vidhub.create_model("tsm", backbone="resnet18", shift_frames=2, num_frames=4, bidirectional=False)
    stream, x = StreamingTSM(randomize(model)), clip(4)
    with torch.inference_mode():
        frames = [stream(x[:, :, t]) for t in range(4)]
        torch.testing.assert_close(torch.stack(frames).mean(0), model(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("tanet_r50", {"backbone": "resnet18"}), ("tsm", {"backbone": "convnext_atto", "non_local": "gaussian"})],
)
def test_backbones_that_have_no_place_for_a_module(name, arguments):
    with pytest.raises(InputError, match="is none"):
        vidhub.create_model(name, **arguments)


def test_what_cannot_be_streamed():
    for name in ("tsn_r50", "tsm_r50_nl_gaussian"):
        with pytest.raises(InputError, match="only TSM networks without non-local blocks"):
            StreamingTSM(vidhub.create_model(name))


def test_the_number_of_frames_reaches_the_data_configuration():
    model = vidhub.create_model("tsm_r50", num_frames=16)
    assert model.data_config.num_frames == 16
    with pytest.raises(InputError, match="16 frames only"):
        model(clip(8))
    assert vidhub.create_model("tsn_r50").data_config.test_frames == 25


def test_tsn_is_tested_on_more_frames_than_it_is_trained_on():
    config = DataConfig(num_frames=3, test_frames=25, sampling="segments", size=32, resize=32, views=(1, 10))
    assert vidhub.create_transform(config).frame_indices(100).shape == (1, 3)
    assert vidhub.create_transform(config, views="test").frame_indices(100).shape == (1, 25)
    assert vidhub.create_transform(config, training=True).frame_indices(100).shape == (1, 3)


def test_groups_move_by_fractions_of_frames():
    x = torch.arange(1.0, 5).view(1, 4, 1, 1, 1).expand(1, 4, 4, 1, 1)
    out = shift_groups(x, torch.tensor([[0.0, 1.0, -1.0, 0.5]]))[0, :, :, 0, 0].T
    assert out.tolist() == [[1, 2, 3, 4], [0, 1, 2, 3], [2, 3, 4, 0], [0.5, 1.5, 2.5, 3.5]]


def test_adaptive_time_with_even_kernels_is_a_weighted_mean_of_neighbours():
    module = AdaptiveTime(8, 4).eval()
    nn.init.zeros_(module.kernel[3].weight)  # every kernel becomes (1, 1, 1) / 3
    nn.init.zeros_(module.weight[3].weight)  # every weight a half
    x = torch.rand(4, 8, 2, 2)
    out = module(x)
    torch.testing.assert_close(out[1], (x[0] + x[1] + x[2]) / 6)
    torch.testing.assert_close(out[0], (x[0] + x[1]) / 6)


def test_trn_draws_relations_in_training_alone():
    model = vidhub.create_model("trn_r50", backbone="resnet18", num_classes=3)
    x = torch.rand(2, 8, 512)
    assert torch.equal(model.head(x), model.head(x))
    relations = list(combinations(range(8), 4))
    assert model.head.choose(relations) == model.head.choose(relations)
    model.head.train()
    drawn = {tuple(model.head.choose(relations)) for _ in range(20)}
    assert len(drawn) > 10
    other = vidhub.create_model("trn_r50", backbone="resnet18", num_frames=5, num_classes=3).head
    assert other.choose([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]) == [(0, 1), (0, 3), (1, 3)]


def test_the_auxiliary_head_joins_the_loss_in_training(tmp_path):
    from vidhub.engine.prepare import classification_loss
    from vidhub.engine.recipe import Recipe

    model = randomize(vidhub.create_model("tpn_tsm_r50", num_classes=3))
    assert isinstance(model, TPN)
    x, y = clip(8, 64), torch.tensor([1])
    loss = classification_loss(Recipe(model="tpn_tsm_r50"), [])(model, (x, y))
    logits, others = model(x, auxiliary=True)
    cross_entropy = nn.functional.cross_entropy
    torch.testing.assert_close(loss, cross_entropy(logits, y) + 0.5 * cross_entropy(others, y))
    torch.testing.assert_close(model(x), logits)
    model.reset_classifier(5)
    assert [out.shape for out in model(x, auxiliary=True)] == [(1, 5), (1, 5)]


def test_reparameterized_mobileone_gives_the_same_outputs():
    model = randomize(vidhub.create_model("tsm", backbone="mobileone_s0", num_frames=2, num_classes=3))
    x = clip(2)
    with torch.inference_mode():
        before = model(x)
        torch.testing.assert_close(model.reparameterize()(x), before, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["tin_r50.mm_in1k_sthv1_1x1x8", "tsm_r50.mm_in1k_sthv2_1x1x8"])
def test_flip_labels_are_those_whose_names_say_left_and_right(name):
    weights = get_weights(name)
    assert mirrored_classes(weights.labels) == weights.data_config.flip_labels


def test_a_mirrored_clip_gets_the_mirrored_class():
    from vidhub.datasets.dataset import VideoDataset
    from vidhub.datasets.records import VideoRecord

    config = DataConfig(num_frames=1, size=8, resize=8, flip_labels=((0, 1),), mean=(0,) * 3, std=(1,) * 3)
    transform = vidhub.create_transform(config, training=True, area=(1, 1), ratio=(1, 1))
    data = VideoDataset([VideoRecord("a", 0), VideoRecord("b", 2)], transform, num_classes=3)
    left = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    left[..., :4] = 255
    data._cached = [(left, 30.0), (left, 30.0)]
    torch.manual_seed(0)
    drawn = [data[i] for i in (0, 1) * 10]
    for shown, target in drawn[::2]:
        assert target == (0 if shown[0, 0, 0, 0] == 1 else 1)
    assert {target for _, target in drawn[::2]} == {0, 1}
    assert {target for _, target in drawn[1::2]} == {2}
    still = vidhub.create_transform(DataConfig(num_frames=1, flip=False), training=True)
    assert still.augmentation["flip_prob"] == 0
