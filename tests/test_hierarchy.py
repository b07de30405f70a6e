"""Transformers that shrink their grid: against torchvision's, and on clips of other lengths and sizes."""

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import video as tv

import vidhub
from vidhub.models._checkpoint import load_state_dict
from vidhub.models.mvit import pooled


def randomise(model):
    """Weights of which none is zero or one, so that each matters."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=generator))
    return model.eval()


def clip_of(frames, side):
    return torch.randn(2, 3, frames, side, side, generator=torch.Generator().manual_seed(1))


def same_outputs(ours, theirs, clip):
    load_state_dict(ours, theirs.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(ours.eval()(clip), theirs(clip), rtol=1e-4, atol=1e-4)


# windows that divide the grid or not, that are cut short in time, that fill it in space
@pytest.mark.parametrize(
    ("window", "frames", "side"), [((4, 2, 2), 12, 80), ((8, 2, 3), 5, 70), ((2, 7, 7), 8, 224), ((3, 2, 2), 3, 64)]
)
def test_swin_is_torchvisions(window, frames, side):
    theirs = tv.swin_transformer.SwinTransformer3d([2, 4, 4], 16, [2, 2, 2, 2], [1, 2, 4, 8], list(window))
    arguments = {"dim": 16, "depths": (2, 2, 2, 2), "head_dim": 16, "window": window, "num_classes": 400}
    same_outputs(vidhub.create_model("swin3d_tiny", **arguments), randomise(theirs), clip_of(frames, side))


@pytest.mark.parametrize("window", [(4, 2, 2), (2, 3, 3)])
def test_swin_resizes_its_tables_for_another_window(window):
    arguments = {"dim": 32, "depths": (2, 2, 2, 2), "num_classes": 5}
    trained = vidhub.create_model("swin3d_tiny", window=(2, 2, 2), **arguments)
    other = vidhub.create_model("swin3d_tiny", window=window, **arguments)
    load_state_dict(other, trained.state_dict())
    table = trained.layer1.blocks[0].attn.bias_table.unflatten(0, (3, 3, 3))
    resized = other.layer1.blocks[0].attn.bias_table.unflatten(0, tuple(2 * n - 1 for n in window))
    if window[0] == 4:
        torch.testing.assert_close(resized[::3], table)  # linear in time: the ends and the middle stay
    assert other(clip_of(8, 64)).shape == (2, 5)


def test_swin_takes_small_clips_as_they_are():
    assert vidhub.create_model("swin3d_tiny", num_classes=5)(clip_of(1, 20)).shape == (2, 5)


@pytest.mark.parametrize("frames", [1, 6])
@pytest.mark.parametrize("version", [1, 2])
def test_mvit_is_torchvisions(version, frames):
    def block(heads, width, out, stride, kv):
        queries = ([3, 3, 3], [1, stride, stride]) if version == 2 or stride > 1 else ([], [])
        return tv.mvit.MSBlockConfig(heads, width, out, queries[0], [3, 3, 3], queries[1], [1, kv, kv])

    if version == 2:  # the attention that pools widens
        setting = [block(1, 16, 16, 1, 4), block(2, 16, 32, 2, 2), block(4, 32, 64, 2, 1), block(4, 64, 64, 1, 1)]
    else:  # the MLP before widens
        setting = [block(1, 16, 32, 1, 4), block(2, 32, 64, 2, 2), block(4, 64, 64, 2, 1), block(4, 64, 64, 1, 1)]
    two = version == 2
    flags = {"residual_pool": two, "residual_with_cls_embed": False, "rel_pos_embed": two, "proj_after_attn": two}
    theirs = tv.mvit.MViT((64, 64), 2 * (frames // 2 or 1), setting, num_classes=5, **flags)
    arguments = {"dim": 16, "depth": 4, "downscale": (1, 2), "kv_stride": 4, "num_classes": 5}
    ours = vidhub.create_model(f"mvit_v{version}_base", num_frames=2 * (frames // 2 or 1), img_size=64, **arguments)
    same_outputs(ours, randomise(theirs), clip_of(frames, 64))


def test_mvit_relative_positions_are_a_bias_of_the_scores():
    attention = vidhub.create_model("mvit_v2_small", num_frames=4, img_size=64, depth=2, dim=8).blocks[1].attn
    grid, generator = (2, 16, 16), torch.Generator().manual_seed(0)
    q = torch.randn(1, 2, 1 + 2 * 8 * 8, 8, generator=generator)
    k = torch.randn(1, 2, 1 + 2 * 4 * 4, 8, generator=generator)
    long_q, long_k, scale = attention.with_offsets(q, k, pooled(grid, 2), pooled(grid, 4))
    bias = scale * long_q @ long_k.transpose(2, 3) - 8**-0.5 * q @ k.transpose(2, 3)
    assert not bias[:, :, 0].any()
    assert not bias[..., 0].any()
    query, key = (1, 5, 2), (0, 3, 1)  # frames one back; rows 5 and 3 * 2, columns 2 and 1 * 2
    at = [1 + (t * n + h) * n + w for (t, h, w), n in ((query, 8), (key, 4))]
    offsets = attention.rel_t[1 + 1] + attention.rel_h[5 - 6 + 6] + attention.rel_w[2 - 2 + 6]
    torch.testing.assert_close(bias[0, 1, at[0], at[1]], q[0, 1, at[0]] @ offsets)


# entry point, light arguments, frames and side that it is built for here, and those it is then rebuilt for
RESIZED = [
    ("swin3d_tiny", {"dim": 32, "depths": (2, 1, 1, 1)}, (8, 64), (32, 256)),
    ("mvit_v1_base", {"dim": 16, "depth": 4, "downscale": (1, 3)}, (4, 64), (10, 96)),
    ("mvit_v2_small", {"dim": 16, "depth": 4, "downscale": (1, 3)}, (4, 64), (10, 96)),
    ("uniformer_small", {"dims": (16, 32, 64, 64), "depths": (1, 1, 1, 1)}, (4, 64), (6, 96)),
]


@pytest.mark.parametrize(("name", "light", "old", "new"), RESIZED)
def test_checkpoints_load_for_other_frames_and_sizes(name, light, old, new):
    arguments = {**light, "num_classes": 5}
    trained = randomise(vidhub.create_model(name, num_frames=old[0], img_size=old[1], **arguments))
    other = vidhub.create_model(name, num_frames=new[0], img_size=new[1], **arguments)
    load_state_dict(other, trained.state_dict())
    assert other.data_config.view_shape[1:3] == new
    clip = clip_of(*new)[:1]
    with torch.inference_mode():
        # built for that clip, or resizing when one comes: the same
        torch.testing.assert_close(other(clip), trained(clip), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "light"), [case[:2] for case in RESIZED])
def test_pretrained_weights_serve_32_frames_of_256_pixels(name, light, tmp_path):
    published = vidhub.get_weights(name)
    path = tmp_path / "published.safetensors"
    save_file(vidhub.create_model(name, num_classes=published.num_classes, **light).state_dict(), path)
    model = vidhub.create_model(published.name, checkpoint_path=path, num_frames=32, img_size=256, **light)
    assert model.labels == published.labels
    assert model.data_config.view_shape == (3, 32, 256, 256)
    with torch.inference_mode():
        assert model(clip_of(32, 256)[:1]).shape == (1, published.num_classes)


@pytest.mark.parametrize(("name", "light"), [case[:2] for case in RESIZED])
def test_stochastic_depth_is_for_training(name, light):
    model = vidhub.create_model(name, num_frames=4, img_size=64, drop_path_rate=0.9, dropout=0.0, **light)
    clip = clip_of(4, 64)
    evaluated = model(clip)
    assert torch.equal(model(clip), evaluated)
    for m in model.train().modules():
        if isinstance(m, torch.nn.modules.batchnorm._BatchNorm | torch.nn.Dropout):
            m.eval()
    assert not torch.equal(model(clip), evaluated)


def test_a_checkpoint_may_have_more_outputs_than_classes():
    weights = vidhub.get_weights("mvit_v2_small.mm_k400_sthv2_16x4")
    assert weights.num_classes == len(weights.labels) == 400
    assert weights.labels[:174] == vidhub.get_weights("mvit_v2_base.mm_k400_sthv2_u32").labels
    assert weights.labels[174] == "(unused 174)"


def test_swin_gives_a_pyramid():
    model = vidhub.create_model("swin3d_tiny", features_only=True, out_indices=[1, 2, 3, 4], depths=(1, 1, 1, 1))
    with torch.inference_mode():
        maps = model(torch.zeros(1, 3, 8, 224, 224))
    assert [tuple(m.shape[1:]) for m in maps] == [(96 << i, 4, 56 >> i, 56 >> i) for i in range(4)]
    assert [info["reduction"] for info in model.feature_info] == [(2, 4 << i) for i in range(4)]
