"""Transformers: position embeddings for other clips, and the layouts that their checkpoints come in."""

import math

import pytest
import torch
from safetensors.torch import save_file
from timm.optim import param_groups_layer_decay

import vidhub
from vidhub.models._checkpoint import load_state_dict
from vidhub.models.layers.pos_embed import grid_of, resize_positions, sinusoid_table

SMALL = {"dim": 48, "depth": 4, "num_heads": 2, "num_classes": 5}
# entry point, frames and side that it is built for here, and those it is then rebuilt for
RESIZED = [
    ("timesformer_base_divided", (4, 64), (6, 96)),
    ("timesformer_base_joint", (4, 64), (2, 48)),
    ("timesformer_base_space", (4, 64), (8, 80)),
    ("vit3d_small", (16, 64), (6, 96)),
    ("vivit_base", (32, 64), (12, 48)),
    ("vjepa2_large", (4, 64), (6, 96)),
    ("uniformerv2_base", (4, 64), (6, 96)),
]


def build(name, clip):
    frames, side = clip
    return vidhub.create_model(name, num_frames=frames, img_size=side, **SMALL)


def test_resized_positions_keep_what_is_in_front_and_follow_the_grid():
    table = torch.randn(1, 1 + 2 * 3 * 4, 5)
    assert resize_positions(table, (2, 3, 4), (2, 3, 4)) is table
    resized = resize_positions(table, (2, 3, 4), (4, 6, 8))
    assert resized.shape == (1, 1 + 4 * 6 * 8, 5)
    assert torch.equal(resized[:, 0], table[:, 0])
    torch.testing.assert_close(resized[:, 1:].mean(), table[:, 1:].mean(), atol=0.05, rtol=0)
    longer = resize_positions(table[:, 1:], (2, 3, 4), (4, 3, 4)).unflatten(1, (4, 12))
    torch.testing.assert_close(longer[:, 0], table[:, 1:13])  # the ends stay


def test_a_grid_is_found_from_its_length():
    assert grid_of(torch.zeros(1, 1568, 1), (8,)) == (8, 14, 14)
    assert grid_of(torch.zeros(1, 785, 1), (1,), front=1) == (1, 28, 28)
    with pytest.raises(vidhub.errors.WeightsError, match="1569 position embeddings"):
        grid_of(torch.zeros(1, 1569, 1), (8, 16))


def test_sinusoids():
    table = sinusoid_table(50, 16)
    assert table.shape == (1, 50, 16)
    torch.testing.assert_close(table[0, 7, :2], torch.tensor([math.sin(7), math.cos(7)]))
    assert table[0, 0].tolist() == [0.0, 1.0] * 8


@pytest.mark.parametrize(("name", "old", "new"), RESIZED)
def test_checkpoints_load_into_networks_of_other_frames_and_size(name, old, new):
    trained, other = build(name, old), build(name, new)
    load_state_dict(other, trained.state_dict())
    assert other.data_config.num_frames == new[0]
    assert other.data_config.size == new[1]
    clip = torch.randn(1, 3, new[0], new[1], new[1], generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        # built for that clip, or resizing when one comes: the same
        torch.testing.assert_close(other(clip), trained(clip), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, _, _ in RESIZED])
def test_stochastic_depth_is_for_training(name):
    model = vidhub.create_model(name, num_frames=4, img_size=64, drop_path_rate=0.9, **SMALL)
    clip = torch.randn(2, 3, 4, 64, 64)
    evaluated = model(clip)
    assert torch.equal(model(clip), evaluated)
    assert not torch.equal(model.train()(clip), evaluated)


def test_pretrained_weights_serve_other_frames_and_sizes(tmp_path):
    published = vidhub.create_model("timesformer_base_divided", num_classes=400, depth=1)
    path = tmp_path / "published.safetensors"
    save_file(published.state_dict(), path)
    model = vidhub.create_model("timesformer_base_divided", checkpoint_path=path, num_frames=32, img_size=256, depth=1)
    assert model.pos_embed.shape == (1, 257, 768)
    assert model.time_embed.shape == (1, 32, 768)
    assert model.data_config.view_shape == (3, 32, 256, 256)


def test_uniformerv2_decays_what_comes_first_and_last_as_such():
    model = vidhub.create_model("uniformerv2_base", dim=16, depth=4, num_heads=2, num_gathers=1, num_classes=3)
    groups = param_groups_layer_decay(model, 0.05, model.no_weight_decay(), layer_decay=0.5)
    found = {id(p): (g["lr_scale"], g["weight_decay"]) for g in groups for p in g["params"]}
    parameters = dict(model.named_parameters())
    first = found[id(parameters["patch_embed.weight"])][0]
    assert found[id(parameters["norm_pre.weight"])] == (first, 0.0)
    assert found[id(parameters["query_token"])] == (1.0, 0.0)


def test_unknown_attention():
    with pytest.raises(vidhub.errors.UnknownNameError, match="'divided', 'joint', 'space'"):
        vidhub.create_model("timesformer_base_divided", attention="axial")
