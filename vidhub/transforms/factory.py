"""``create_transform``: which frames to decode and what to do with them, as a checkpoint's ``DataConfig`` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from .._memory import keep_memory
from ..errors import InputError
from ..weights.types import AnyConfig, AudioConfig, DataConfig, SkeletonConfig
from . import sampling
from ._random import uniform
from .audio import AudioTransform
from .poses import SkeletonTransform
from .video import eval_views, train_clip


@dataclass(frozen=True)
class VideoTransform:
    """Picks frames and turns them into network input; :func:`create_transform` makes it. Can be pickled.

    >>> transform = create_transform(DataConfig(num_frames=8, stride=8), views=(2, 3))
    >>> transform.frame_indices(100).shape
    (2, 8)
    >>> transform(torch.zeros(2, 8, 3, 240, 320, dtype=torch.uint8)).shape
    torch.Size([6, 3, 8, 224, 224])
    """

    config: DataConfig
    training: bool
    num_clips: int
    num_crops: int  # of every clip: 1 (centre), 3 or 10
    resize: int | tuple[int, int]  # before cropping in evaluation: short side, or exactly (height, width)
    size: int  # side of the crops
    num_frames: int  # of a clip
    augmentation: dict[str, Any]  # of training: keyword arguments of `train_clip`
    repeats: int = 1  # of training: random clips of a video
    same_frames: bool = False  # of training: the clips of a video differ in crop and colour alone

    @property
    def modality(self) -> Literal["video", "flow"]:
        """Of the reader that `load` takes: an even number of channels is optical flow."""
        return "video" if len(self.config.mean) % 2 else "flow"

    @property
    def stack(self) -> int:
        """Optical flows in the channels of a frame, two channels each."""
        return len(self.config.mean) // 2

    @property
    def num_views(self) -> int:
        """Views of a video: clips times crops."""
        return self.num_clips * self.num_crops

    def frame_indices(
        self, num_frames: int, fps: float | None = None, generator: torch.Generator | None = None
    ) -> np.ndarray:
        """The frames to decode: int64 (num_clips or repeats, frames of a clip), all in [0, num_frames).

        A video shorter than a clip is repeated. Evaluation draws nothing; ``generator`` (None: torch's global one) is
        for training. ``fps`` matters where ``config.target_fps`` is set and the sampling is "clips".

        Raises:
            InputError: ``num_frames`` or ``fps`` is not positive.
        """
        if self.training:
            draws = 1 if self.same_frames else self.repeats
            clips = [_random_indices(self.config, num_frames, fps, generator) for _ in range(draws)]
            return np.concatenate(clips * (self.repeats // draws))
        return _even_indices(self.config, self.num_frames, num_frames, fps, self.num_clips)

    @property
    def mirrored_class(self) -> dict[int, int]:
        """In training, the class that a mirrored clip of each class shows, of those that change."""
        pairs = self.config.flip_labels if self.training else ()
        return {a: b for pair in pairs for a, b in (pair, pair[::-1])}

    def draw_mirror(self, generator: torch.Generator | None = None) -> bool:
        """Whether to mirror the next clip, for those who must know: as often as training does."""
        return bool(uniform(1, generator)[0] < self.augmentation["flip_prob"])

    def __call__(
        self, frames: torch.Tensor, generator: torch.Generator | None = None, mirror: bool | None = None
    ) -> torch.Tensor:
        """Network input from the frames of :meth:`frame_indices`.

        Args:
            frames: uint8, or float in [0, 1], (num_clips, T, C, H, W), or (T, C, H, W) for one clip; on any device.
            mirror: in training, whether to mirror the clips; None: at random.

        Returns:
            float (num_views, C, T, size, size) in evaluation, the crops of the first clip first; in training
            (C, T, size, size), or (repeats, C, T, size, size) where there are several. On the device of ``frames``.

        Raises:
            InputError: wrong shape, frames smaller than the crop after resizing, or not as many channels as means.
        """
        if frames.ndim == 4:
            frames = frames[None]
        if frames.ndim != 5 or frames.shape[0] < 1 or (self.training and frames.shape[0] != self.repeats):
            wanted = "(T, C, H, W) or (clips, T, C, H, W)"
            if self.training:
                wanted = "(T, C, H, W)" if self.repeats == 1 else f"({self.repeats}, T, C, H, W)"
            raise InputError(f"frames must be {wanted}, not of shape {tuple(frames.shape)}.")
        clips = torch.arange(frames.shape[0] * frames.shape[1]).reshape(frames.shape[:2])
        return self._views(frames.flatten(0, 1), clips, generator, mirror)

    def load(self, reader: Any, generator: torch.Generator | None = None, mirror: bool | None = None) -> torch.Tensor:
        """Sample, decode and transform: what :meth:`__call__` returns.

        Args:
            reader: a ``VideoReader``, or anything with ``num_frames``, ``fps`` and
                ``get_frames(indices) -> uint8 (n, C, H, W)``. Every frame is asked for once, in order.
        """
        indices = self.frame_indices(reader.num_frames, reader.fps, generator)
        unique, positions = np.unique(indices, return_inverse=True)
        frames = reader.get_frames(unique.tolist())
        return self._views(frames, torch.from_numpy(positions.reshape(indices.shape)), generator, mirror)

    def _views(
        self, frames: torch.Tensor, clips: torch.Tensor, generator: torch.Generator | None, mirror: bool | None
    ) -> torch.Tensor:
        keep_memory()
        pixels = {"crop_size": self.size, "mean": self.config.mean, "std": self.config.std}
        if self.training:
            augmentation = self.augmentation if mirror is None else {**self.augmentation, "flip_prob": float(mirror)}
            parts = (_in_order(frames, clip) for clip in clips)
            views = [train_clip(part, **pixels, **augmentation, generator=generator) for part in parts]
            views = views[0] if self.repeats == 1 else torch.stack(views)
        else:
            views = eval_views(frames, clips, resize_to=self.resize, num_crops=self.num_crops, **pixels)
        return views.flip(-4) if self.config.bgr else views


def create_transform(
    data_config: AnyConfig,
    training: bool = False,
    views: int | Literal["one", "test"] | tuple[int, int] | None = None,
    *,
    size: int | None = None,
    area: tuple[float, float] | None = None,
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    hflip: float | None = None,
    color_jitter: float | tuple[float, float, float, float] | None = None,
    rand_augment: tuple[int, int] | None = None,
    erasing: float = 0.0,
    repeats: int = 1,
    same_frames: bool = False,
    rotate: float = 0.0,
    scale: float = 0.0,
    shift: float = 0.0,
    crop_time: float = 1.0,
    drop_joints: float = 0.0,
) -> VideoTransform | AudioTransform | SkeletonTransform:
    """The transform of a checkpoint: ``create_transform(get_weights(name).data_config)``.

    Evaluation resizes, crops and normalises. ``views`` says how much of a video is looked at:

    ==================  ==================================================================================
    None, 1 or "one"    one clip from the middle, centre crop of ``data_config.size``
    n                   n clips spread over the video, centre crop of ``data_config.size``
    (clips, crops)      that many clips and crops (1 centre, 3 along the long side, 10 with mirror images) of
                        ``data_config.test_size`` with ``data_config.test_frames``; three crops resize the short side
                        to it
    "test"              the protocol of the published score: ``data_config.views``
    ==================  ==================================================================================

    Clips are spread by ``data_config.sampling``: "clips" from the first frame to the last; "dense" windows at as many
    positions; "segments" and "uniform" move every frame within its part of the video.

    Training takes a random clip: random resized crop, flip, augmentation, normalisation.

    Of an ``AudioConfig`` an ``AudioTransform`` is made, of a ``SkeletonConfig`` a ``SkeletonTransform``: they take the
    first three arguments, and for skeletons ``hflip``, ``area`` (of heatmaps) and the last five.

    Args:
        size: side of the crops instead of the configured one; ``data_config.resize`` changes in proportion.
        area, ratio: limits of the random crop's fraction of the picture and of its width / height; area None: 0.08
            to 1, of heatmaps all.
        hflip: how often a clip is mirrored; None: half of them, or none where ``data_config.flip`` forbids it, nor of
            skeletons.
        color_jitter: strength of brightness, contrast, saturation and hue changes; one number is for the first three.
        rand_augment: number (as 2) and magnitude (0 to 30, as 9) of RandAugment's operations.
        erasing: how often a random box is erased.
        repeats: random clips of each video, which is decoded once for all of them (repeated augmentation).
        same_frames: these clips show the same frames.
        rotate, scale, shift: largest turn in degrees, change of size and (2D) of place of skeletons; shift is in halves
            of the picture.
        crop_time: smallest part of a video that a clip of skeletons is from.
        drop_joints: how often a joint of a skeleton is hidden.

    Raises:
        InputError: an argument of the wrong kind or value, or a crop larger than the resized frames.
    """
    if isinstance(data_config, AudioConfig):
        return _audio_transform(data_config, training, views)
    if isinstance(data_config, SkeletonConfig):
        changes = {"rotate": rotate, "scale": scale, "shift": shift, "crop_time": crop_time, "drop_joints": drop_joints}
        return _skeleton_transform(data_config, training, views, hflip or 0.0, area or (1.0, 1.0), changes)
    if not isinstance(data_config, DataConfig):
        raise InputError(f"the network takes {data_config.summary}: a video alone cannot be made into that.")
    if training and views is not None:
        raise InputError("views are for evaluation; training takes random clips.")
    if not _is_count(repeats) or (repeats > 1 and not training):
        raise InputError(f"repeats is a positive number of training clips, not {repeats!r}.")
    clips, crops, crop_size, num_frames = _protocol(data_config, views)
    if size is not None and not _is_count(size):
        raise InputError(f"size must be a positive number of pixels, not {size!r}.")
    resize = data_config.resize
    if size is not None:
        factor = size / crop_size
        resize = round(resize * factor) if isinstance(resize, int) else tuple(round(side * factor) for side in resize)
        crop_size = size
    if crops == 3:
        resize = crop_size
    short = resize if isinstance(resize, int) else min(resize)
    if not training and short < crop_size:
        raise InputError(f"frames resized to {resize} are smaller than the crop of {crop_size}.")
    hflip = (0.5 if data_config.flip else 0.0) if hflip is None else hflip
    area = (0.08, 1.0) if area is None else area
    augmentation = _augmentation(area, ratio, hflip, color_jitter, rand_augment, erasing) if training else {}
    return VideoTransform(
        data_config,
        training,
        clips,
        crops,
        resize,
        crop_size,
        num_frames,
        augmentation,
        repeats,
        same_frames and repeats > 1,
    )


def _audio_transform(config: AudioConfig, training: bool, views) -> AudioTransform:
    clips = config.views[0] if views == "test" else 1 if views in (None, "one") else views
    if isinstance(clips, (tuple, list)) and len(clips) == 2 and clips[1] == 1:
        clips = clips[0]
    if not _is_count(clips):
        raise InputError(f"views of sound must be 'one', 'test', a number of clips, or (clips, 1), not {views!r}.")
    return AudioTransform(config, training, int(clips))


def _skeleton_transform(config: SkeletonConfig, training: bool, views, hflip, area, changes) -> SkeletonTransform:
    if training:
        if not 0 < changes["crop_time"] <= 1 or not (0 <= hflip <= 1 and 0 <= changes["drop_joints"] <= 1):
            raise InputError(
                "crop_time is a part of the video above 0, hflip and drop_joints are probabilities up to 1."
            )
        return SkeletonTransform(config, True, hflip=hflip, area=tuple(area), **changes)
    views = config.views if views == "test" else 1 if views in (None, "one") else views
    clips, images = (views, 1) if _is_count(views) else views if isinstance(views, (tuple, list)) else (0, 0)
    if not _is_count(clips) or images not in (1, 2):
        raise InputError(
            f"views of skeletons must be 'one', 'test', a number of clips, or (clips, 1 or 2), not {views!r}."
        )
    return SkeletonTransform(config, False, int(clips), mirrored=images == 2)


def _protocol(config: DataConfig, views) -> tuple[int, int, int, int]:
    """(clips, crops, side of the crops, frames of a clip)."""
    if views is None or views == "one":
        return 1, 1, config.size, config.num_frames
    if _is_count(views):
        return int(views), 1, config.size, config.num_frames
    if views == "test":
        views = config.views
    if isinstance(views, (tuple, list)) and len(views) == 2 and _is_count(views[0]) and views[1] in (1, 3, 10):
        return *views, config.test_size or config.size, config.test_frames or config.num_frames
    raise InputError(f"views must be 'one', 'test', a number of clips, or (clips, 1, 3 or 10 crops), not {views!r}.")


def _augmentation(area, ratio, hflip, color_jitter, rand_augment, erasing) -> dict[str, Any]:
    """Checked keyword arguments of `train_clip`."""
    if not (0 < area[0] <= area[1] <= 1 and 0 < ratio[0] <= ratio[1]):
        raise InputError(f"area and ratio are (low, high), areas up to 1, not {area!r} and {ratio!r}.")
    if not (0 <= hflip <= 1 and 0 <= erasing <= 1):
        raise InputError(f"hflip and erasing are probabilities, not {hflip!r} and {erasing!r}.")
    if isinstance(color_jitter, (int, float)):
        color_jitter = (color_jitter, color_jitter, color_jitter, 0.0)
    if color_jitter is not None and not (len(color_jitter) == 4 and min(color_jitter) >= 0 and color_jitter[3] <= 0.5):
        raise InputError(f"color_jitter is one or four strengths from 0, the hue's up to 0.5, not {color_jitter!r}.")
    if rand_augment is not None and not (len(rand_augment) == 2 and rand_augment[0] >= 0 <= rand_augment[1] <= 30):
        raise InputError(f"rand_augment is (number, magnitude from 0 to 30), not {rand_augment!r}.")
    return {
        "area": area,
        "ratio": ratio,
        "flip_prob": hflip,
        "jitter": color_jitter,
        "augment": rand_augment,
        "erase_prob": erasing,
    }


def _in_order(frames: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """``frames[numbers]``, not copied where these are all of them."""
    if torch.equal(numbers, torch.arange(len(frames))):
        return frames
    return frames[numbers.to(frames.device)]


def _is_count(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _even_indices(config: DataConfig, length: int, num_frames: int, fps: float | None, num_clips: int) -> np.ndarray:
    if config.sampling == "clips":
        return sampling.uniform_clips(
            num_frames, length, config.stride, num_clips, fps=fps, target_fps=config.target_fps
        )
    if config.sampling == "dense":
        positions = 3 if num_clips == 1 else num_clips  # the only window lies in the middle, not in front
        clips = sampling.dense_clips(num_frames, 1, num_clips=length, num_positions=positions).reshape(-1, length)
        return clips[1:2] if num_clips == 1 else clips
    if config.sampling == "segments":
        return sampling.segment_frames(num_frames, length, num_clips)
    if config.sampling == "uniform":
        return sampling.uniform_frames(num_frames, length, num_clips)
    raise _unknown_sampling(config)


def _random_indices(config: DataConfig, num_frames: int, fps: float | None, generator) -> np.ndarray:
    length = config.num_frames
    if config.sampling == "clips":
        return sampling.random_clips(
            num_frames, length, config.stride, fps=fps, target_fps=config.target_fps, generator=generator
        )
    if config.sampling == "dense":
        return sampling.random_dense_clips(num_frames, 1, num_clips=length, generator=generator).reshape(1, length)
    if config.sampling == "segments":
        return sampling.random_clips(num_frames, 1, num_clips=length, generator=generator).reshape(1, length)
    if config.sampling == "uniform":
        return sampling.random_uniform_frames(num_frames, length, generator=generator)
    raise _unknown_sampling(config)


def _unknown_sampling(config: DataConfig) -> InputError:
    return InputError(f"sampling must be 'clips', 'dense', 'segments' or 'uniform', not {config.sampling!r}.")
