"""From uint8 frames to what a network takes: the chain of steps for evaluation and the one for training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch

from ..errors import InputError
from ._random import uniform
from .functional import (
    Size,
    center_crop,
    color_jitter,
    crop,
    fit_size,
    flip,
    normalize,
    rand_augment,
    random_erasing,
    random_resized_box,
    resize,
    ten_crop,
    three_boxes,
    to_float,
)


def eval_views(
    frames: torch.Tensor,
    clips: torch.Tensor | None = None,
    *,
    resize_to: int | tuple[int, int],
    crop_size: Size,
    num_crops: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> torch.Tensor:
    """Resize, crop, scale to [0, 1] and normalise: float (V, C, T, H, W) with V = clips * num_crops.

    The crops of the first clip come first, then those of the second; three crops in the order left, right, centre (top,
    bottom, centre), ten crops each corner and the centre plain, then mirrored. An even number of channels is taken for
    optical flow, as in :func:`train_clip`.

    Args:
        frames: uint8, or float in [0, 1], (N, C, H, W) on any device.
        clips: int64 (clips, T), which of the frames make up each clip; None: one clip of all of them. Frames that
            several clips share are resized once.
        resize_to: short side, or exactly (height, width).
        num_crops: 1 (centre), 3 or 10.

    Raises:
        InputError: the resized frames are smaller than the crop, or mean and std do not fit the channels.
    """
    if num_crops not in (1, 3, 10):
        raise InputError(f"the number of crops must be 1, 3 or 10, not {num_crops!r}.")
    if isinstance(resize_to, int):
        resize_to = fit_size(tuple(frames.shape[-2:]), short=resize_to)
    frames = resize(frames, resize_to)
    if clips is None:
        clips = torch.arange(len(frames))[None]
    of_frame = defaultdict(list)
    for clip, numbers in enumerate(clips.tolist()):
        for time, number in enumerate(numbers):
            of_frame[number].append((clip, time))
    views = None
    for number, frame in enumerate(frames):  # one at a time: whole clips as float32 leave the cache with every step
        if num_crops == 1:
            crops = [_pixels(center_crop(frame, crop_size), mean, std)]
        elif num_crops == 3:  # of the same pixels
            frame = _pixels(frame, mean, std)
            crops = [crop(frame, box) for box in three_boxes(tuple(frame.shape[-2:]), crop_size)]
        else:
            crops = _pixels(ten_crop(frame, crop_size, flow=frame.shape[-3] % 2 == 0), mean, std)
        if views is None:
            channels, *size = crops[0].shape
            views = crops[0].new_empty(len(clips), num_crops, channels, clips.shape[1], *size)
        for clip, time in of_frame[number]:
            for view, pixels in zip(views[clip], crops, strict=True):
                view[:, time] = pixels
    return views.flatten(0, 1)


def train_clip(
    frames: torch.Tensor,
    *,
    crop_size: Size,
    mean: Sequence[float],
    std: Sequence[float],
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip_prob: float = 0.5,
    jitter: tuple[float, float, float, float] | None = None,
    augment: tuple[int, int] | None = None,
    erase_prob: float = 0.0,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """One random view, alike in all frames: float (C, T, H, W).

    Random resized crop, flip, colour jitter, RandAugment, scaling to [0, 1], normalisation, random erasing. An even
    number of channels is taken for optical flow x, y, x, y, ..., of which x changes its sign when flipped.

    Args:
        frames: uint8, or float in [0, 1], (T, C, H, W) on any device.
        area, ratio: limits of the crop's fraction of the picture and of its width / height.
        flip_prob, erase_prob: how often the clip is flipped, and a box of it erased.
        jitter: strength of brightness, contrast, saturation and hue changes.
        augment: number and magnitude of RandAugment's operations.

    Raises:
        InputError: mean and std do not fit the channels, or colour changes of other than 1 or 3 channels.
    """
    box = random_resized_box(tuple(frames.shape[-2:]), area=area, ratio=ratio, generator=generator)
    clip = resize(crop(frames, box), crop_size, exact=False)
    flips, erases = uniform(2, generator) < (flip_prob, erase_prob)
    if flips:
        clip = flip(clip, flow=clip.shape[-3] % 2 == 0)
    if jitter is not None:
        clip = color_jitter(clip, *jitter, generator=generator)
    if augment is not None:
        clip = rand_augment(clip, *augment, generator=generator)
    fresh = clip.dtype == torch.uint8  # and float then a copy
    clip = normalize(to_float(clip.transpose(0, 1)).contiguous(), mean, std, channel_dim=-4, inplace=fresh)
    if erases:
        clip = random_erasing(clip, generator=generator)
    return clip


def _pixels(frame: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Network input of one frame, or of crops of one: (..., C, H, W)."""
    return normalize(to_float(frame), mean, std, inplace=frame.dtype == torch.uint8)
