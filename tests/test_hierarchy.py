"""Transformers that shrink their grid: against torchvision's, and on clips of other lengths and sizes."""

import pytest
import torch
from torchvision.models import video as tv

import vidhub
from vidhub.models._checkpoint import load_state_dict


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
    model = vidhub.create_model("swin3d_tiny", num_classes=5, num_frames=32, img_size=256)
    assert model.data_config.view_shape == (3, 32, 256, 256)
    assert model(clip_of(1, 20)).shape == (2, 5)
