"""From the skeletons of a video to what networks take: coordinates, or heatmaps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, VideoError
from ..weights.skeletons import Layout
from ..weights.types import SkeletonConfig
from . import sampling, skeleton
from ._random import uniform
from .heatmaps import joint_heatmaps, limb_heatmaps, mirror_heatmaps

_LEAST_PIXELS = 10  # persons that are smaller are in metres, or fractions of a picture of unknown size


@dataclass(frozen=True)
class SkeletonTransform:
    """Picks frames of skeletons and makes network input of them; ``create_transform`` makes it. Can be pickled.

    >>> transform = SkeletonTransform(SkeletonConfig(num_frames=8, layout="coco", normalize="2d"), num_clips=2)
    >>> transform(np.random.rand(1, 30, 17, 2), np.ones((1, 30, 17)), (480, 640)).shape
    torch.Size([2, 2, 8, 17, 3])
    """

    config: SkeletonConfig
    training: bool = False
    num_clips: int = 1
    mirrored: bool = False  # evaluation: mirror images of all clips as further views
    # of training
    rotate: float = 0.0  # largest angle in degrees: around every axis of 3D skeletons, in the picture of 2D ones
    scale: float = 0.0  # largest change of size: 0.1 is 90 to 110 %
    shift: float = 0.0  # 2D: largest change of place, in halves of the picture
    crop_time: float = 1.0  # smallest part of the video that a clip is from
    area: tuple[float, float] = (1.0, 1.0)  # heatmaps: of the random crop
    hflip: float = 0.0  # how often clips are mirrored
    drop_joints: float = 0.0  # how often a joint is hidden for the whole clip
    late: bool = False  # training on heatmaps: give what `draw_batch` draws, so that it is drawn on the GPU
    modality = "skeleton"  # of what `load` takes

    @property
    def num_views(self) -> int:
        return self.num_clips * (1 + self.mirrored)

    def load(self, pose: Any, generator: torch.Generator | None = None) -> Tensor:
        """Network input from a ``PoseRecord``, or anything with ``keypoints``, ``scores`` and ``image_size``.

        Raises:
            VideoError: nobody is seen in it.
            InputError: see :meth:`__call__`.
        """
        keypoints, scores = skeleton.as_keypoints(pose.keypoints, pose.scores)
        if not (keypoints[..., :2] != 0).any():
            name = getattr(pose, "name", "this video")
            raise VideoError(f"nobody was found in {name!r}: leave it out, or find its skeletons in another way.")
        return self(keypoints, scores, pose.image_size, generator)

    def __call__(
        self,
        keypoints: np.ndarray,
        scores: np.ndarray | None = None,
        size: tuple[int, int] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Views of a video's skeletons.

        Args:
            keypoints: (M, T, V, 2 or 3) in pixels, or 3D; missing joints and persons are zeros. Of 2D skeletons a third
                coordinate is the score. Arrays, tensors or lists, see ``skeleton.as_keypoints``.
            scores: (M, T, V); None: not known, all 1 where needed.
            size: (height, width) of the picture.

        Returns:
            float32 (views, M, T, V, C), or of heatmaps (views, V, T, H, W); in training without the axis of views.

        Raises:
            InputError: there are no frames, not as many joints or coordinates as the network takes, or 3D skeletons
                for a network that takes 2D ones.
        """
        layout = self.config.skeleton
        keypoints, scores = self._checked(keypoints, scores, layout)
        if self.config.kind == "coordinates":
            views = self._coordinates(keypoints, scores, size, layout, generator)
        else:
            views = self._heatmaps(keypoints, scores, size, layout, generator)
        return views[0] if self.training else views

    def _checked(self, keypoints: Any, scores: Any, layout: Layout) -> tuple[np.ndarray, np.ndarray | None]:
        keypoints, scores = skeleton.as_keypoints(keypoints, scores)
        if keypoints.shape[2] != layout.num_joints:
            raise InputError(
                f"expected keypoints of shape (persons, frames, {layout.num_joints}, 2 or 3), got {keypoints.shape}."
            )
        if not keypoints.shape[1]:
            raise InputError("these skeletons have no frames.")
        needs_z = self.config.num_coords == 3 or self.config.normalize == "3d"
        if layout.dims == 3 and keypoints.shape[3] == 2 and needs_z:
            raise InputError("this network takes 3 coordinates of each joint, not 2.")
        if layout.dims == 2 and keypoints.shape[3] == 3:
            if not skeleton.holds_scores(keypoints):
                low, high = keypoints[..., 2].min(), keypoints[..., 2].max()
                raise InputError(
                    "this network takes 2D skeletons, whose third coordinate is a score from 0 to 1, and here it goes "
                    f"from {low:.3g} to {high:.3g}: give x and y in pixels, or set dims=3 in the network's data_config."
                )
            keypoints, scores = keypoints[..., :2], keypoints[..., 2] if scores is None else scores
        if not self.config.use_scores:
            scores = None
        if not len(keypoints):
            keypoints = np.zeros((1, *keypoints.shape[1:]), np.float32)
            scores = None if scores is None else np.zeros(keypoints.shape[:3], np.float32)
        return keypoints, scores

    def _frames(self, num_frames: int, generator: torch.Generator | None) -> np.ndarray:
        """(clips, frames of a clip)."""
        length = self.config.num_frames
        if not self.training:
            return sampling.stratified_frames(num_frames, length, self.num_clips)
        if self.crop_time == 1:
            return sampling.random_stratified_frames(num_frames, length, generator=generator)
        share, place = uniform(2, generator)
        part = max(round(num_frames * (self.crop_time + share * (1 - self.crop_time))), 1)
        first = int(place * (num_frames - part + 1))
        return first + sampling.random_stratified_frames(part, length, generator=generator)

    # ------------------------------------------------------------------------------------------------- coordinates

    def _coordinates(self, keypoints, scores, size, layout: Layout, generator) -> Tensor:
        config = self.config
        if self.training and self.hflip and uniform(1, generator)[0] < self.hflip:
            keypoints, scores = _mirror(keypoints, scores, size, layout)
        views = [self._normalized(keypoints, scores, size, layout)]
        if self.mirrored:
            views.append(self._normalized(*_mirror(keypoints, scores, size, layout), size, layout))
        out = []
        for values in views:
            if self.training:
                values = self._augmented(values, layout, generator)
            values = skeleton.streams(values, layout, config.streams)
            frames = self._frames(values.shape[1], generator)
            values = skeleton.take_persons(values[:, frames.ravel()], config.num_persons)
            out.append(skeleton.split_clips(values, len(frames)))
        return torch.from_numpy(np.concatenate(out)).float()

    def _normalized(self, keypoints, scores, size, layout: Layout) -> np.ndarray:
        config = self.config
        if config.normalize == "3d":
            keypoints = skeleton.normalize_person(keypoints, layout)
        elif config.normalize == "2d":
            keypoints = skeleton.normalize_2d(keypoints, size)
        elif config.normalize == "box":
            keypoints = skeleton.normalize_box(keypoints, scores, layout.dims)
        if config.num_coords == 3 and keypoints.shape[-1] == 2:
            scores = np.ones(keypoints.shape[:-1], np.float32) if scores is None else scores
            keypoints = skeleton.with_scores(keypoints, scores)
        return keypoints[..., : config.num_coords]

    def _augmented(self, values: np.ndarray, layout: Layout, generator) -> np.ndarray:
        values = values.astype(np.float32)
        dims = min(layout.dims, values.shape[-1])
        draws = uniform(3 + 3 + 2, generator) * 2 - 1
        there = (values[..., :dims] != 0).any(-1, keepdims=True)
        matrix = _rotation(draws[:3] * math.radians(self.rotate), dims) * (1 + self.scale * draws[3:4])
        values[..., :dims] = values[..., :dims] @ matrix.T.astype(np.float32)
        if dims == 2 and self.shift:
            values[..., :2] += there * (self.shift * draws[6:8]).astype(np.float32)
        if self.drop_joints:
            hidden = uniform(values.shape[2], generator) < self.drop_joints
            values[:, :, hidden] = 0
        return values

    # ---------------------------------------------------------------------------------------------------- heatmaps

    def _heatmaps(self, keypoints, scores, size, layout: Layout, generator) -> Tensor:
        points, values = self.points(keypoints, scores, size, generator)
        if self.late:
            packed = torch.cat((points, values[..., None]), -1)
            return torch.nn.functional.pad(packed, (0,) * 7 + (self.config.num_persons - packed.shape[1],))
        return self.draw(points, values)

    def points(self, keypoints, scores, size, generator=None) -> tuple[Tensor, Tensor]:
        """What :meth:`draw` draws: keypoints (clips, M, T, V, 2) in the heatmaps' pixels, scores (clips, M, T, V)."""
        config, layout = self.config, self.config.skeleton
        scores = np.ones(keypoints.shape[:-1], np.float32) if scores is None else scores
        there = (keypoints[..., :2] != 0).any(-1)
        frames = self._frames(keypoints.shape[1], generator)
        persons = config.num_persons if self.training else len(keypoints)
        keypoints, scores = keypoints[:persons, frames.ravel(), :, :2], scores * there
        scores = scores[:persons, frames.ravel()]
        if size is None and there.any() and max(np.ptp(keypoints[..., i]) for i in range(2)) < _LEAST_PIXELS:
            raise InputError("heatmaps are drawn of skeletons in pixels, and all of these are within a few of them.")
        size = size or _extent(keypoints)
        if box := skeleton.person_box(keypoints, size, ratio=1.0):
            keypoints, size = skeleton.into_box(keypoints, box), (box[3] - box[1], box[2] - box[0])
        if self.training:
            keypoints, size = self._cropped(keypoints, size, generator)
            if self.hflip and uniform(1, generator)[0] < self.hflip:
                keypoints, scores = _mirror(keypoints, scores, size, layout)
        keypoints = _resized(keypoints, size, config.size, config.keep_ratio)
        parts = (torch.from_numpy(np.ascontiguousarray(v)) for v in (keypoints, scores))
        points, values = (v.unflatten(1, (len(frames), -1)).transpose(0, 1).float() for v in parts)
        return points, values

    def draw(self, points: Tensor, scores: Tensor) -> Tensor:
        """Heatmaps (views, V, T, H, W) of :meth:`points`, on their device; leading axes of a batch may come first."""
        config, layout = self.config, self.config.skeleton
        size = (config.size, config.size)
        if config.kind == "keypoint":
            maps, order = joint_heatmaps(points, scores, size=size, sigma=config.sigma), layout.mirrored
        else:
            limbs, order = layout.shown_limbs, layout.mirrored_limbs
            maps = limb_heatmaps(points, scores, limbs=limbs, size=size, sigma=config.sigma)
        return torch.cat((maps, mirror_heatmaps(maps, order)), -5) if self.mirrored else maps

    def draw_batch(self, packed: Tensor) -> Tensor:
        """Heatmaps (B, V, T, H, W) of a batch (B, M, T, V, 3) that was made with ``late``, on its device."""
        return self.draw(packed[..., :2], packed[..., 2]) if self.late else packed

    def _cropped(self, keypoints, size, generator):
        """A random part of the picture, of this share of its area."""
        if self.area[1] >= 1 and self.area[0] >= 1:
            return keypoints, size
        share, ratio, left, top = uniform(4, generator)
        area = self.area[0] + share * (self.area[1] - self.area[0])
        stretch = math.exp((2 * ratio - 1) * math.log(4 / 3))
        height, width = size
        w, h = (min(math.sqrt(area * s), 1.0) for s in (stretch, 1 / stretch))
        crop = (round(h * height), round(w * width))
        x, y = int(left * (width - crop[1] + 1)), int(top * (height - crop[0] + 1))
        return skeleton.into_box(keypoints, (x, y, x + crop[1], y + crop[0])), crop


def _extent(keypoints: np.ndarray) -> tuple[int, int]:
    """The smallest picture that holds all joints."""
    width, height = (int(np.ceil(keypoints[..., i].max(initial=1))) + 1 for i in range(2))
    return height, width


def _resized(keypoints: np.ndarray, size: tuple[int, int], side: int, keep_ratio: bool) -> np.ndarray:
    """In pixels of a square of this side: the middle of the picture, or all of it in another ratio."""
    height, width = size
    if not keep_ratio:
        return keypoints * np.array([side / width, side / height], np.float32)
    factor = side / min(height, width)
    resized = int(width * factor + 0.5), int(height * factor + 0.5)
    scale = np.array([resized[0] / width, resized[1] / height], np.float32)
    corner = np.array([(length - side) // 2 for length in resized], np.float32)
    return keypoints * scale - corner


def _mirror(keypoints, scores, size, layout: Layout):
    """Left and right exchanged; 3D skeletons across the plane between them."""
    out = keypoints[..., layout.mirrored, :].copy()
    if keypoints.shape[-1] == 3:
        out[..., 0] *= -1
    else:
        width = size[1] if size else _extent(keypoints)[1]
        out[..., 0] = np.where(out[..., 0] == 0, 0, width - out[..., 0])
    return out, None if scores is None else scores[..., layout.mirrored]


def _rotation(angles: np.ndarray, dims: int) -> np.ndarray:
    if dims == 2:
        cos, sin = math.cos(angles[0]), math.sin(angles[0])
        return np.array([[cos, -sin], [sin, cos]])
    out = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = ((1, 2), (0, 2), (0, 1))[axis]
        turn = np.eye(3)
        turn[[i, j], [i, j]] = math.cos(angle)
        turn[i, j], turn[j, i] = -math.sin(angle), math.sin(angle)
        out = turn @ out
    return out
