"""3D convolutions in the forms for GPUs; the kernel runs in Triton's interpreter where there is no GPU."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from vidhub.models.layers import gpu_conv3d
from vidhub.models.layers.gpu_conv3d import DepthwiseConv3d, FlatConv3d, use_gpu_convolutions

FLAT = {
    "frames": nn.Conv3d(6, 8, (1, 3, 3), (1, 2, 2), (0, 1, 1)),
    "some of the frames": nn.Conv3d(6, 8, (1, 3, 3), (2, 1, 1), (0, 2, 2), dilation=(1, 2, 2)),
    "time": nn.Conv3d(6, 8, (3, 1, 1), (2, 1, 1), (1, 0, 0)),
    "time of some pixels": nn.Conv3d(6, 8, (3, 1, 1), (1, 2, 2), (1, 0, 0)),
    "each channel's time": nn.Conv3d(6, 6, (5, 1, 1), 1, (2, 0, 0), groups=6, bias=False),
    "points": nn.Conv3d(6, 8, 1, 2),
}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("conv", FLAT.values(), ids=FLAT.keys())
def test_flat_convolutions_are_the_same(conv, layout):
    x = torch.randn(2, 6, 8, 10, 12).to(memory_format=layout)
    flat = use_gpu_convolutions(copy.deepcopy(conv).to(memory_format=layout))
    assert type(flat) is FlatConv3d
    torch.testing.assert_close(flat(x), conv(x))
    if layout is torch.channels_last_3d:
        assert flat(x).is_contiguous(memory_format=layout)


def test_others_stay_as_they_are():
    others = nn.Sequential(
        nn.Conv3d(4, 4, 3),
        nn.Conv3d(4, 4, (1, 3, 3), padding="same"),
        nn.Conv3d(4, 4, (1, 3, 3), padding=(1, 1, 1)),
        nn.Conv3d(4, 8, 3, groups=4),
        nn.Conv3d(4, 4, (1, 3, 3), padding=(0, 1, 1), padding_mode="circular"),
        nn.Conv2d(4, 4, 3),
    )
    before = [type(conv) for conv in others]
    assert [type(conv) for conv in use_gpu_convolutions(others)] == before


# steps, kernel, padding and bias of the convolution, and the clip's frames
DEPTHWISE = [
    ((1, 2, 2), (3, 3, 3), (1, 1, 1), True, 1),
    ((1, 1, 1), (3, 3, 3), (1, 1, 1), False, 4),
    ((1, 1, 1), (3, 5, 3), (1, 1, 1), True, 2),
    ((2, 1, 1), (3, 3, 3), (1, 1, 1), True, 5),
    ((2, 2, 2), (5, 5, 5), (2, 2, 2), True, 4),
]


def check_depthwise(device="cpu"):
    torch.manual_seed(0)
    for step, kernel, padding, bias, frames in DEPTHWISE:
        conv = nn.Conv3d(70, 70, kernel, step, padding, groups=70, bias=bias).to(device)
        x = torch.randn(2, 70, frames, 5, 18, device=device)
        by_kernel = use_gpu_convolutions(copy.deepcopy(conv))
        assert type(by_kernel) is DepthwiseConv3d
        torch.testing.assert_close(by_kernel(x), conv(x), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(gpu_conv3d.triton is None, reason="Triton is not installed")
def test_the_depthwise_kernel_is_the_same():
    if torch.cuda.is_available():
        check_depthwise("cuda")
        return
    command = [sys.executable, "-c", "import test_gpu_conv3d; test_gpu_conv3d.check_depthwise()"]
    settings = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.path.dirname(__file__)}
    done = subprocess.run(command, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
