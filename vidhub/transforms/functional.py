"""Geometry and pixels of video tensors, and the boxes and keypoints that go with them.

Videos are uint8 or float tensors (..., C, H, W) on any device: (T, C, H, W), (clips, T, C, H, W), or one frame. Float
pixels are in [0, 1]. Results keep dtype and device. Every frame of a call is treated alike, random choices included.

Sizes are (height, width), one number means a square. A ``Box`` is (x1, y1, x2, y2) in whole pixels, x2 and y2
exclusive. Box and keypoint tensors are float, (..., 4) and (..., 2), in pixels, x before y.

All functions raise :class:`~vidhub.errors.InputError` where sizes do not fit each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import InputError
from ._random import integer, uniform

Box = tuple[int, int, int, int]
Size = int | tuple[int, int]
Mode = Literal["bilinear", "nearest", "bicubic", "area"]


# sizes and boxes


def fit_size(
    size: Size, *, short: int | None = None, long: int | None = None, scale: float | None = None
) -> tuple[int, int]:
    """The (height, width) nearest to the shape of ``size`` with these bounds; halves are rounded up.

    Args:
        short: largest short side.
        long: largest long side. With both, the stricter one holds.
        scale: the factor itself, instead of bounds.

    >>> fit_size((240, 320), short=256)
    (256, 341)
    >>> fit_size((480, 854), short=256, long=340)
    (191, 340)
    """
    height, width = _pair(size)
    if scale is None:
        bounds = [(short, min(height, width)), (long, max(height, width))]
        scale = min((bound / side for bound, side in bounds if bound is not None), default=1.0)
    return int(height * scale + 0.5), int(width * scale + 0.5)


def center_box(size: Size, crop: Size) -> Box:
    """The box of size ``crop`` in the middle of a picture of ``size``; half a pixel goes to the right and bottom.

    It reaches beyond a picture that is smaller than the crop, which :func:`crop` refuses.

    >>> center_box((240, 320), 112)
    (104, 64, 216, 176)
    """
    (height, width), (h, w) = _pair(size), _pair(crop)
    return _box((width - w) // 2, (height - h) // 2, h, w)


def three_boxes(size: Size, crop: Size) -> list[Box]:
    """Boxes at the left, right and centre of a picture as high as the crop; else at the top, bottom and centre.

    Raises:
        InputError: the crop has neither the picture's height nor its width.

    >>> three_boxes((256, 340), 256)
    [(0, 0, 256, 256), (84, 0, 340, 256), (42, 0, 298, 256)]
    """
    (height, width), (h, w) = _pair(size), _pair(crop)
    if h == height:
        step = (width - w) // 2
        return [_box(x, 0, h, w) for x in (0, 2 * step, step)]
    if w == width:
        step = (height - h) // 2
        return [_box(0, y, h, w) for y in (0, 2 * step, step)]
    raise InputError(
        f"three crops of {h}x{w} need frames of that height or width, not {height}x{width}; resize the short side."
    )


def five_boxes(size: Size, crop: Size) -> list[Box]:
    """Boxes at the top left, top right, bottom left, bottom right and centre, at quarters of the space left.

    >>> five_boxes((256, 340), 224)[3:]
    [(116, 32, 340, 256), (58, 16, 282, 240)]
    """
    return _boxes_at_quarters(size, crop, ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2)))


def sliding_box(size: Size, crop: int, position: Literal[0, 1, 2]) -> Box:
    """The square at the left, centre or right (at the top, centre or bottom where height > width).

    PyTorchVideo's ``uniform_crop`` and PySlowFast's test crops: half a pixel goes to the left and top.

    >>> [sliding_box((256, 340), 224, i) for i in range(3)]
    [(0, 16, 224, 240), (58, 16, 282, 240), (116, 16, 340, 240)]
    """
    height, width = _pair(size)
    x, y = -((crop - width) // 2), -((crop - height) // 2)
    if position not in (0, 1, 2):
        raise InputError(f"position must be 0, 1 or 2, not {position!r}.")
    if height > width:
        y = (0, y, height - crop)[position]
    else:
        x = (0, x, width - crop)[position]
    return _box(x, y, crop, crop)


def random_box(size: Size, crop: Size, *, skip_last: bool = False, generator: torch.Generator | None = None) -> Box:
    """A box of size ``crop`` anywhere in the picture.

    Args:
        skip_last: never draw the right-most and bottom-most places (MMAction2).

    >>> random_box(16, 16)
    (0, 0, 16, 16)
    """
    (height, width), (h, w) = _pair(size), _pair(crop)
    _check_inside((0, 0, w, h), height, width)
    x = integer(0, max(width - w - skip_last, 0), generator)
    y = integer(0, max(height - h - skip_last, 0), generator)
    return _box(x, y, h, w)


def fitting_size(size: Size, areas: Sequence[float], ratios: Sequence[float]) -> tuple[int, int] | None:
    """The (height, width) of the first pair of area and width / height that lies within ``size``, None if none does.

    Args:
        areas: as fractions of the picture's area.

    >>> fitting_size((20, 80), [1.0, 0.25], [1.0, 1.0])
    (20, 20)
    """
    height, width = _pair(size)
    for area, ratio in zip(areas, ratios, strict=True):
        area = area * (height * width)
        w, h = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            return h, w
    return None


def random_resized_box(
    size: Size,
    *,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    generator: torch.Generator | None = None,
) -> Box:
    """The box of a random resized crop: random area (fraction of the picture), width / height and place.

    Ratios are drawn evenly by their logarithm. Where none of ten draws fits, it is the square of the short side in the
    middle. The defaults are those of Inception training (https://arxiv.org/abs/1409.4842).
    """
    fitting = _random_size(size, area, ratio, generator)
    return center_box(size, min(_pair(size))) if fitting is None else random_box(size, fitting, generator=generator)


def multi_scale_boxes(
    size: Size,
    input_size: Size,
    scales: Sequence[float] = (1, 0.875, 0.75, 0.66),
    *,
    max_gap: int = 1,
    positions: Literal[5, 13] = 5,
    allow_outside: bool = False,
) -> list[list[Box]]:
    """All boxes of a multi-scale crop, one list for every crop size: (sizes, positions). Training draws one of each.

    Sides are ``scales`` of the picture's short side; height and width may differ by ``max_gap`` places in that list. A
    side within 2 pixels of ``input_size`` becomes it. The defaults are those of TSN (https://arxiv.org/abs/1608.00859).

    Args:
        positions: 5 corners and centre, or 13 with the middles of sides and quarters.
        allow_outside: let a side become ``input_size`` even where the picture is smaller (MMAction2).

    >>> multi_scale_boxes((240, 320), 224, [1, 0.5], max_gap=0)[1]
    [(0, 0, 120, 120), (200, 0, 320, 120), (0, 120, 120, 240), (200, 120, 320, 240), (100, 60, 220, 180)]
    """
    (height, width), (input_height, input_width) = _pair(size), _pair(input_size)
    if positions not in (5, 13):
        raise InputError(f"positions must be 5 or 13, not {positions!r}.")
    quarters = [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2)]
    quarters += [(0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3)]

    def snap(side: int, target: int, limit: int) -> int:
        return target if abs(side - target) < 3 and (allow_outside or target <= limit) else side

    sides = [int(min(height, width) * scale) for scale in scales]
    sizes = [
        (snap(h, input_height, height), snap(w, input_width, width))
        for i, h in enumerate(sides)
        for j, w in enumerate(sides)
        if abs(i - j) <= max_gap
    ]
    return [_boxes_at_quarters((height, width), crop, quarters[:positions]) for crop in sizes]


# pixels


def crop(video: torch.Tensor, box: Box) -> torch.Tensor:
    """The part of the picture in ``box``, without copying it.

    Raises:
        InputError: the box reaches beyond the picture.
    """
    _check_inside(box, *video.shape[-2:])
    x1, y1, x2, y2 = box
    return video[..., y1:y2, x1:x2]


def center_crop(video: torch.Tensor, size: Size) -> torch.Tensor:
    """The middle of the picture: (..., C, h, w)."""
    return crop(video, center_box(tuple(video.shape[-2:]), size))


def three_crop(video: torch.Tensor, size: Size) -> torch.Tensor:
    """The three crops of :func:`three_boxes`, in that order: (3, ..., C, h, w)."""
    return torch.stack([crop(video, box) for box in three_boxes(tuple(video.shape[-2:]), size)])


def ten_crop(video: torch.Tensor, size: Size, *, flow: bool = False) -> torch.Tensor:
    """Each crop of :func:`five_boxes` as it is and mirrored (see :func:`flip`): (10, ..., C, h, w)."""
    crops = [crop(video, box) for box in five_boxes(tuple(video.shape[-2:]), size)]
    return torch.stack([view for plain in crops for view in (plain, flip(plain, flow=flow))])


def resize(video: torch.Tensor, size: Size, mode: Mode = "bilinear", *, exact: bool = True) -> torch.Tensor:
    """Scale the picture to exactly ``size``; uint8 is rounded and clamped.

    OpenCV's conventions, with which published networks were trained and tested: pixel centres at halves, no
    antialiasing; "area" averages what a pixel covers and is for shrinking.

    Args:
        exact: False lets bilinear uint8 pixels be one off on a CPU, in a fifth of the time.
    """
    height, width = _pair(size)
    if height < 1 or width < 1:
        raise InputError(f"cannot resize to {height}x{width} pixels.")
    if tuple(video.shape[-2:]) == (height, width):
        return video
    frames = video.reshape(-1, *video.shape[-3:])
    if mode == "bilinear" and not exact and frames.dtype == torch.uint8 and frames.device.type == "cpu":
        frames = frames.contiguous(memory_format=torch.channels_last)  # for which torch has a routine in whole numbers
        out = F.interpolate(frames, (height, width), mode=mode, align_corners=False)
        return out.reshape(*video.shape[:-2], height, width)
    out = frames.new_empty(*frames.shape[:-2], height, width)
    for source, target in zip(frames.split(1), out.split(1), strict=True):  # a whole clip as float32 is large and slow
        target.copy_(_resize(source.contiguous(), height, width, mode))
    return out.reshape(*video.shape[:-2], height, width)


def flip(video: torch.Tensor, *, vertical: bool = False, flow: bool = False) -> torch.Tensor:
    """Mirror the picture left to right, or upside down.

    Args:
        flow: channels are optical flow x, y, x, y, ...; those along the flip change their sign: 255 - v for uint8,
            -v for float.
    """
    flipped = video.flip(-2 if vertical else -1)
    if flow:  # flip has made a copy
        along = flipped[..., 1 if vertical else 0 :: 2, :, :]
        along.copy_(255 - along if video.dtype == torch.uint8 else -along)
    return flipped


def to_float(video: torch.Tensor) -> torch.Tensor:
    """uint8 to float32 in [0, 1], contiguous; float tensors stay as they are."""
    if video.dtype == torch.uint8:
        return video.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
    if video.is_floating_point():
        return video
    raise InputError(f"frames must be uint8, or float in [0, 1], not {video.dtype}.")


def normalize(
    video: torch.Tensor, mean: Sequence[float], std: Sequence[float], *, channel_dim: int = -3, inplace: bool = False
) -> torch.Tensor:
    """(video - mean) / std for every channel; float.

    Args:
        mean, std: one number a channel, in the video's own units.
        channel_dim: -3 for (..., C, H, W), -4 for (..., C, T, H, W).
        inplace: write into ``video``, where it is float.

    Raises:
        InputError: there are not as many numbers as channels.
    """
    channels = video.shape[channel_dim]
    if len(mean) != channels or len(std) != channels:
        raise InputError(f"mean and std need {channels} values, one a channel, not {len(mean)} and {len(std)}.")
    dtype = video.dtype if video.is_floating_point() else torch.float32
    shape = (channels,) + (1,) * (-channel_dim - 1)
    mean, std = (torch.tensor(tuple(v), dtype=dtype, device=video.device).reshape(shape) for v in (mean, std))
    return (video.sub_(mean) if inplace and video.is_floating_point() else video - mean).div_(std)


def color_jitter(
    video: torch.Tensor,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
    *,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """torchvision's ColorJitter with one draw for all frames; 1 or 3 channels."""
    from torchvision.transforms import v2

    return _augment(v2.ColorJitter(brightness, contrast, saturation, hue), video, generator)


def rand_augment(
    video: torch.Tensor, num_ops: int = 2, magnitude: int = 9, *, generator: torch.Generator | None = None
) -> torch.Tensor:
    """torchvision's RandAugment (https://arxiv.org/abs/1909.13719), the same for all frames; 1 or 3 channels.

    Args:
        magnitude: 0 to 30.
    """
    from torchvision.transforms import v2

    return _augment(v2.RandAugment(num_ops, magnitude), video, generator)


def random_erasing(
    video: torch.Tensor,
    *,
    area: tuple[float, float] = (0.02, 0.4),
    ratio: tuple[float, float] = (0.3, 1 / 0.3),
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Fill one random box, the same in all frames, with standard normal noise; in a copy.

    For normalised float videos. The defaults are those of the paper (https://arxiv.org/abs/1708.04896).
    """
    size = tuple(video.shape[-2:])
    fitting = _random_size(size, area, ratio, generator)
    video = video.clone()
    if fitting is None:
        return video
    hole = crop(video, random_box(size, fitting, generator=generator))
    device = "cpu" if generator is None else generator.device
    hole.copy_(torch.randn(hole.shape, generator=generator, device=device))
    return video


# boxes and keypoints


def scale_points(points: torch.Tensor, scale: tuple[float, float]) -> torch.Tensor:
    """Keypoints (..., 2) or boxes (..., 4) times ``scale`` (x, y).

    After a resize the scale is (new width / width, new height / height); fractions of a picture become pixels with
    (width, height).
    """
    factors = torch.tensor(scale, dtype=points.dtype, device=points.device)
    return points * factors.repeat(points.shape[-1] // 2)


def crop_boxes(boxes: torch.Tensor, box: Box, *, last_pixel: bool = False) -> torch.Tensor:
    """Boxes (..., 4) in the picture cut out by ``box``, clamped to it; those outside become empty, none is removed.

    Args:
        last_pixel: clamp to the last pixel, [0, w - 1], instead of to the edge, [0, w] (MMAction2).
    """
    x1, y1, x2, y2 = box
    corners = boxes.unflatten(-1, (2, 2)) - torch.tensor([x1, y1], dtype=boxes.dtype, device=boxes.device)
    limits = torch.tensor([x2 - x1, y2 - y1], dtype=boxes.dtype, device=boxes.device) - int(last_pixel)
    return corners.clamp(min=0).minimum(limits).flatten(-2)


def flip_boxes(boxes: torch.Tensor, width: float) -> torch.Tensor:
    """Boxes (..., 4) in the picture mirrored left to right, ``width`` pixels wide."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=-1)


def crop_keypoints(keypoints: torch.Tensor, box: Box) -> torch.Tensor:
    """Keypoints (..., 2) in the picture cut out by ``box``; those outside stay there."""
    return keypoints - torch.tensor(box[:2], dtype=keypoints.dtype, device=keypoints.device)


def flip_keypoints(
    keypoints: torch.Tensor,
    width: float,
    left: Sequence[int] = (),
    right: Sequence[int] = (),
    scores: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Keypoints (..., V, 2) and scores (..., V) in the mirrored picture: left and right joints change places.

    A keypoint whose x is exactly 0 is missing and keeps it.

    Args:
        left, right: joints that are each other's mirror image, pair by pair.
    """
    if len(left) != len(right):
        raise InputError(f"left and right joints come in pairs, not {len(left)} and {len(right)}.")
    x = keypoints[..., 0]
    flipped = torch.stack([torch.where(x == 0, x, width - x), keypoints[..., 1]], dim=-1)
    order = list(range(keypoints.shape[-2]))
    for a, b in zip(left, right, strict=True):
        order[a], order[b] = b, a
    return flipped[..., order, :], None if scores is None else scores[..., order]


def crop_region(region: tuple[float, float, float, float], size: Size, box: Box) -> tuple[float, float, float, float]:
    """Follow which part of the original picture is left, as fractions (x, y, width, height), through a crop.

    It starts as (0, 0, 1, 1); resizing and flipping leave it alone.

    Args:
        size: of the picture that is cropped.

    >>> crop_region((0, 0, 1, 1), (100, 200), (50, 0, 150, 100))
    (0.25, 0.0, 0.5, 1.0)
    """
    height, width = _pair(size)
    (x, y, w, h), (x1, y1, x2, y2) = region, box
    return x + x1 / width * w, y + y1 / height * h, w * (x2 - x1) / width, h * (y2 - y1) / height


def original_boxes(
    boxes: torch.Tensor,
    size: Size,
    region: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
    *,
    flipped: bool = False,
    last_pixel: bool = False,
) -> torch.Tensor:
    """Boxes (N, 4) in a view, in pixels, as fractions of the original picture: flip, resize and crops undone.

    Args:
        size: of the view.
        region: the part of the original that the view shows, from :func:`crop_region`.
        last_pixel: mirror about the centre of the last pixel instead of about the edge (MMAction2).
    """
    height, width = _pair(size)
    if flipped:
        boxes = flip_boxes(boxes, width - int(last_pixel))
    x, y, w, h = region
    offset = torch.tensor([x, y, x, y], dtype=boxes.dtype, device=boxes.device)
    return scale_points(boxes, (w / width, h / height)) + offset


def _pair(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _box(x: int, y: int, height: int, width: int) -> Box:
    return x, y, x + width, y + height


def _boxes_at_quarters(size: Size, crop: Size, quarters) -> list[Box]:
    (height, width), (h, w) = _pair(size), _pair(crop)
    step_x, step_y = (width - w) // 4, (height - h) // 4
    return [_box(x * step_x, y * step_y, h, w) for x, y in quarters]


def _check_inside(box: Box, height: int, width: int) -> None:
    x1, y1, x2, y2 = box
    if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
        raise InputError(f"the crop of {y2 - y1}x{x2 - x1} pixels does not lie within frames of {height}x{width}.")


def _random_size(size: Size, area, ratio, generator) -> tuple[int, int] | None:
    low, high = np.log(ratio)
    ratios = np.exp(low + (high - low) * uniform(10, generator))
    areas = area[0] + (area[1] - area[0]) * uniform(10, generator)
    return fitting_size(size, areas, ratios)


def _resize(frames: torch.Tensor, height: int, width: int, mode: Mode) -> torch.Tensor:
    if mode == "nearest":
        rows, columns = (
            torch.arange(new, device=frames.device) * old // new
            for new, old in zip((height, width), frames.shape[-2:], strict=True)
        )
        return frames[..., rows[:, None], columns]
    values = frames if frames.is_floating_point() else frames.float()
    if mode == "area":
        rows = _coverage(frames.shape[-2], height).to(values)
        columns = _coverage(frames.shape[-1], width).to(values)
        values = rows @ values @ columns.T
    elif mode in ("bilinear", "bicubic"):
        values = F.interpolate(values, (height, width), mode=mode, align_corners=False, antialias=False)
    else:
        raise InputError(f"mode must be 'bilinear', 'nearest', 'bicubic' or 'area', not {mode!r}.")
    return values if frames.is_floating_point() else values.round_().clamp_(0, 255)


def _coverage(old: int, new: int) -> torch.Tensor:
    """The share of each of ``old`` pixels in each of ``new`` ones: (new, old), rows summing to 1."""
    if new > old:
        raise InputError(f"mode 'area' only shrinks, not {old} to {new} pixels; use 'bilinear'.")
    edges = torch.arange(new + 1, dtype=torch.float64) * (old / new)
    pixels = torch.arange(old, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return overlap.clamp(min=0) * (new / old)


def _augment(transform, video: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    if video.shape[-3] not in (1, 3):
        raise InputError(f"colours can be changed in videos of 1 or 3 channels, not {video.shape[-3]}.")
    if generator is None:
        return transform(video)
    seed = integer(0, 2**31 - 1, generator)
    with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's global generator only
        torch.default_generator.manual_seed(seed)
        return transform(video)
