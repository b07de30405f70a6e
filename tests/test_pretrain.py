"""Masks, targets and networks of pre-training without labels."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from clips import fill
from hypothesis import given, settings
from hypothesis import strategies as st

import vidhub
from vidhub.engine.pretrain import (
    cube_mask,
    histograms,
    maskfeat_loss,
    normalised_pixels,
    running_cells,
    tube_mask,
    videomae_loss,
)
from vidhub.errors import InputError
from vidhub.models.masked import MaskFeat, VideoMAE

SMALL = {"dim": 48, "depth": 2, "num_heads": 2, "num_frames": 4, "img_size": 64}


SCRIPT = Path(__file__).parents[1] / "examples" / "pretrain.py"


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def clips(batch=2):
    return torch.randn(batch, 3, 4, 64, 64, generator=generator(7))


@pytest.fixture
def videomae():
    torch.manual_seed(0)
    return VideoMAE(vidhub.create_model("vit3d_small", **SMALL), decoder_dim=48, decoder_depth=1, decoder_heads=2)


@given(st.integers(1, 8), st.integers(2, 14), st.integers(2, 14), st.floats(0.1, 0.9))
@settings(max_examples=50)
def test_tubes_hide_the_same_places_in_all_frames(time, height, width, ratio):
    count = round(ratio * height * width)
    if not 0 < count < height * width:
        return
    mask = tube_mask(3, (time, height, width), ratio, generator()).unflatten(1, (time, -1))
    assert (mask == mask[:, :1]).all()
    assert (mask[:, 0].sum(1) == count).all()


@given(st.integers(1, 8), st.integers(2, 14), st.integers(2, 14), st.floats(0.05, 0.95))
@settings(max_examples=50)
def test_cuboids_hide_their_share(time, height, width, ratio):
    mask = cube_mask(2, (time, height, width), ratio, generator())
    assert (mask.sum((1, 2, 3)) == round(ratio * time * height * width)).all()


def test_running_cells_show_every_place_within_four_frames():
    mask = running_cells((4, 6, 6), 0.25).view(4, 6, 6)
    assert (mask.sum(0) == 1).all()
    assert (mask.sum((1, 2)) == 9).all()


def test_masks_follow_the_generator():
    for draw in (tube_mask, cube_mask):
        assert torch.equal(draw(2, (2, 7, 7), 0.5, generator(1)), draw(2, (2, 7, 7), 0.5, generator(1)))
        assert not torch.equal(draw(2, (2, 7, 7), 0.5, generator(1)), draw(2, (2, 7, 7), 0.5, generator(2)))


def test_a_ratio_that_hides_nothing():
    with pytest.raises(InputError, match=r"ratio of 0\.01"):
        tube_mask(1, (8, 7, 7), 0.01)


def test_pixels_of_a_token_are_its_own_and_normalised():
    frames = clips()
    pixels = normalised_pixels(frames, (2, 16, 16)).unflatten(2, (2, 16, 16, 3))
    token = frames[1, :, 2:4, 16:32, 48:64].permute(1, 2, 3, 0)  # the 2nd of 2, row 1, column 3 of 4
    expected = (token - token.mean((0, 1, 2))) / token.flatten(0, 2).std(0)
    torch.testing.assert_close(pixels[1, 16 + 4 + 3], expected, atol=1e-4, rtol=1e-4)


def test_histograms_see_the_orientation_of_edges():
    ramp = torch.arange(32.0).expand(32, 32)
    for picture, angle in ((ramp, 0.5), (-ramp, 0.5), (ramp.T, 0.0), (ramp + ramp.T, 0.25)):
        found = histograms(picture[None, None, None])[0, 0, 1, 1, 0]
        assert found.argmax() == math.floor(angle * 9)
        assert found.norm() == pytest.approx(1)
    assert histograms(torch.zeros(1, 1, 1, 8, 8)).abs().max() == 0


def test_hidden_tokens_do_not_reach_the_encoder(videomae):
    hidden = tube_mask(2, videomae.grid, 0.75, generator())
    other = clips()
    noise = hidden.view(2, 2, 4, 4).repeat_interleave(2, 1).repeat_interleave(16, 2).repeat_interleave(16, 3)
    other = torch.where(noise[:, None], torch.randn_like(other), other)
    with torch.inference_mode():
        predicted = videomae(clips(), hidden)
        assert predicted.shape == (2, hidden[0].sum(), 2 * 16 * 16 * 3)
        torch.testing.assert_close(videomae(other, hidden), predicted)


def test_part_of_the_hidden_tokens_may_be_asked_for(videomae):
    hidden = tube_mask(1, videomae.grid, 0.75, generator())
    wanted = hidden & running_cells(videomae.grid, 0.5)
    with torch.inference_mode():
        assert videomae(clips(1), hidden, wanted).shape[1] == wanted.sum()
        assert videomae_loss(videomae, clips(), ratio=0.75, decode=0.5, generator=generator()) > 0


def maskfeat(name, **kwargs):
    torch.manual_seed(0)
    return MaskFeat(vidhub.create_model(name, **kwargs))


@pytest.mark.parametrize("build", [lambda: maskfeat("vit3d_small", **SMALL), lambda: maskfeat("vjepa2_large", **SMALL)])
def test_maskfeat_predicts_the_histograms_of_every_patch(build):
    model = build()
    hidden = cube_mask(2, (2, 4, 4), 0.4, generator())
    out = model(clips(), hidden)
    assert out.shape == (2, 2, 4, 4, 3 * 9 * 2 * 2)
    assert not torch.equal(out, model(clips(), torch.zeros_like(hidden)))
    assert not model.encoder.patch_embed._forward_hooks


@pytest.mark.parametrize("method", ["videomae", "maskfeat"])
def test_losses_fall(videomae, method):
    if method == "maskfeat":
        model, loss = maskfeat("vit3d_small", **SMALL), maskfeat_loss
    else:
        model, loss = videomae, videomae_loss
    x = torch.arange(64.0)
    waves = torch.sin(x / 5 + x[:, None] / 9).expand(2, 3, 4, 64, 64)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    history = []
    for step in range(60):
        value = loss(model, waves, ratio=0.5, generator=generator(step % 2))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        history.append(value.item())
    assert history[-1] < 0.7 * history[0]
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_networks_that_do_not_fit():
    with pytest.raises(InputError, match="class token"):
        VideoMAE(vidhub.create_model("vivit_base", **SMALL))
    with pytest.raises(InputError, match="cells of 7 pixels"):
        MaskFeat(vidhub.create_model("vit3d_small", **SMALL), cell=7)
    model = VideoMAE(vidhub.create_model("vit3d_small", **SMALL))
    with pytest.raises(InputError, match="built for tokens"):
        model(torch.zeros(1, 3, 4, 32, 32), torch.ones(1, 8, dtype=torch.bool))


@pytest.mark.parametrize("method", ["videomae", "maskfeat"])
def test_what_the_example_saves_can_be_fine_tuned(tmp_path, method):
    fill(tmp_path / "videos", 2)
    small = ["dim=48", "depth=2", "num_heads=2", "num_frames=4", "img_size=32"]
    brief = [
        "--epochs",
        "2",
        "--batch-size",
        "2",
        "--repeats",
        "1",
        "--workers",
        "0",
        "--ratio",
        "0.5",
        "--out",
        tmp_path / "run",
    ]
    command = [sys.executable, SCRIPT, tmp_path / "videos", "--method", method, "--kwargs", *small, *brief]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert "at the start" in run.stdout
    model = vidhub.create_model(f"local-dir:{tmp_path / 'run' / 'encoder'}", num_classes=3)
    assert model(torch.zeros(1, 3, 4, 32, 32)).shape == (1, 3)
