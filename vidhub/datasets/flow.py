"""Optical flow as frames: computed from a video, or read from stored pictures."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import get_worker_info

from ..errors import InputError, VideoError
from ..weights.resolve import fetch_state_dict
from ..weights.types import DataConfig, Weights
from .video_io import VideoReader

_BOUND = 20.0  # pixels that 8 bits reach in either direction, as flow pictures are usually stored
_PICTURE = re.compile(r"(?:flow_)?([xy])_(\d+)\.(?:jpe?g|png)")
# RAFT of torchvision, trained on FlyingChairs and FlyingThings; its small form is the fast one
_RAFT = Weights(
    url="https://download.pytorch.org/models/raft_small_C_T_V2-01064c6d.pth",
    arch="raft_small",
    tag="tv_c_t_v2",
    num_classes=0,
    data_config=DataConfig(num_frames=2),
    num_params=990_162,
    sha256="01064c6d",
    license="bsd-3-clause",
    paper="https://arxiv.org/abs/2003.12039",
)

Estimate = Callable[[Tensor, Tensor], Tensor]  # two frames uint8 (N, 3, H, W) -> flow float (N, 2, H, W), pixels


class FlowReader:
    """The optical flow of a video as frames: channels x, y in 8 bits, 128 for no motion and 6.4 steps a pixel.

    Frame i is the flow from picture i to i + 1, with ``stack`` of them, one after the other, in its channels.

    Args:
        src: whatever ``VideoReader`` takes, or a reader of a video or of a part of it; or a folder of stored flow
            pictures, ``flow_x_00001.jpg`` and ``flow_y_00001.jpg`` or ``x_00001.jpg`` and ``y_00001.jpg`` on; or two
            readers of such pictures, of x and of y.
        stack: flows in the channels of a frame; 2 * stack are the channels.
        estimate: two batches of frames, uint8 (N, 3, H, W), to the flow between them in pixels, float (N, 2, H, W);
            None: torchvision's RAFT (small), whose weights are downloaded.
        short_side: size of the pictures that the flow is computed from; smaller ones keep theirs.

    Raises:
        InputError, FileNotFoundError, VideoError: as ``VideoReader``; or the video has too few frames.
    """

    def __init__(self, src: Any, *, stack: int = 1, estimate: Estimate | None = None, short_side: int = 256):
        self._stored = list(src) if isinstance(src, tuple) else _stored_flow(src)
        self._reader = None if self._stored else src if hasattr(src, "get_frames") else VideoReader(src)
        self._stack, self._estimate = stack, estimate
        flows = self._stored[0].num_frames if self._stored else self._reader.num_frames - 1
        self.num_frames = flows - stack + 1
        if self.num_frames < 1:
            self.close()
            name = repr(os.fsdecode(src)) if isinstance(src, (str, os.PathLike)) else "the video"
            raise VideoError(f"{name} has too few pictures for {stack} optical flows.")
        shown = self._reader or self._stored[0]
        self.fps, size = shown.fps, shown.size
        scale = min(1.0, short_side / min(size)) if self._reader else 1.0
        self.size = tuple(round(side * scale) for side in size)

    def get_frames(self, indices: Sequence[int], size: int | tuple[int, int] | None = None) -> Tensor:
        """Flows of these indices: uint8 (n, 2 * stack, H, W); ``size`` must be None."""
        if size is not None:
            raise InputError("optical flow is not scaled while it is read: leave size out.")
        wanted = np.asarray(list(indices))[:, None] + np.arange(self._stack)
        unique, positions = np.unique(wanted, return_inverse=True)
        flows = self._read(unique.tolist())
        return flows[torch.from_numpy(positions.reshape(wanted.shape))].flatten(1, 2)

    def _read(self, indices: list[int]) -> Tensor:
        """uint8 (n, 2, H, W)."""
        if self._stored:
            return torch.stack([reader.get_frames(indices)[:, 0] for reader in self._stored], 1)
        estimate = self._estimate or raft()
        flows = []
        for i in indices:  # one at a time: RAFT takes much memory
            first, second = self._reader.get_frames([i, i + 1], self.size).split(1)
            flow = estimate(first, second)
            flows.append(((flow + _BOUND) * (255 / (2 * _BOUND))).round().clamp(0, 255).to(torch.uint8))
        return torch.cat(flows)

    def close(self) -> None:
        for reader in self._stored or [self._reader]:
            reader.close()

    def __enter__(self) -> FlowReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def has_stored_flow(folder: str) -> bool:
    """Whether there are flow pictures in it; False where it is no folder."""
    return os.path.isdir(folder) and any(_PICTURE.fullmatch(name) for name in os.listdir(folder))


def _stored_flow(src: Any) -> list[VideoReader] | None:
    """Readers of the horizontal and the vertical flow pictures in a folder; None: it has none."""
    if not isinstance(src, (str, os.PathLike)) or not has_stored_flow(os.fsdecode(src)):
        return None
    return [VideoReader(paths) for paths in flow_pictures(os.fsdecode(src))]


def flow_pictures(folder: str, numbers: range | None = None) -> tuple[list[str], list[str]]:
    """Paths of the horizontal and the vertical flow pictures in a folder, by their numbers; those of ``numbers`` alone.

    Raises:
        VideoError: there are not as many of x as of y.
    """
    pictures: dict[str, list[tuple[int, str]]] = {"x": [], "y": []}
    for name in os.listdir(folder):
        if (match := _PICTURE.fullmatch(name)) and (numbers is None or int(match[2]) in numbers):
            pictures[match[1]].append((int(match[2]), os.path.join(folder, name)))
    if len(pictures["x"]) != len(pictures["y"]):
        counts = " and ".join(f"{len(found)} of {axis}" for axis, found in pictures.items())
        raise VideoError(f"{folder!r} does not have as many flow pictures of x as of y: {counts}.")
    x, y = ([path for _, path in sorted(found)] for found in pictures.values())
    return x, y


@lru_cache
def raft() -> Estimate:
    """torchvision's small RAFT with its published weights, on the first GPU if there is one.

    Raises:
        WeightsError: the weights cannot be had.
    """
    from torchvision.models.optical_flow import raft_small

    model = raft_small()
    model.load_state_dict(fetch_state_dict(_RAFT, by_path=False))
    on_gpu = torch.cuda.is_available() and not get_worker_info()  # a forked worker cannot use it
    return flow_estimate(model.eval().to("cuda" if on_gpu else "cpu"))


def flow_estimate(model: torch.nn.Module) -> Estimate:
    """``FlowReader``'s ``estimate`` by a flow network of torchvision; its input sides are multiples of 8, from 128."""

    @torch.inference_mode()
    def estimate(first: Tensor, second: Tensor) -> Tensor:
        height, width = first.shape[-2:]
        padding = [0, max(-width % 8, 128 - width), 0, max(-height % 8, 128 - height)]
        device = next(model.parameters()).device
        pair = (F.pad(x.to(device).float() / 127.5 - 1, padding, mode="replicate") for x in (first, second))
        return model(*pair)[-1][..., :height, :width].cpu()

    return estimate
