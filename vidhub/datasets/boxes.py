"""Clips around key frames with the boxes of the persons in them, for action detection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import InputError, VideoError
from ..transforms import functional as F
from ..transforms.sampling import clips_around
from ..weights.types import DetectionConfig
from .dataset import open_video
from .records import BoxesRecord, BoxProtocol, VideoRecord
from .video_io import VideoReader


class BoxSample(NamedTuple):
    """A clip around a key frame."""

    clip: Tensor  # float32 (C, T, H, W), normalised
    boxes: Tensor  # float32 (N, 4) in pixels of the clip
    labels: Tensor  # float32 (N, classes) of 0 and 1; zeros for boxes of a person detector
    index: int  # of the record
    bank: Tensor | None = None  # float32 (C, n, 1, 1), of networks that look at the whole video
    picture: Tensor | None = None  # uint8 (3, h, w): the key frame as it is stored, where it was asked for


def read_clip(
    reader: VideoReader, frame: float, config: DetectionConfig, *, stop: int | None = None, jitter: bool = False
) -> Tensor:
    """The clip around a frame as a network takes it: float32 (C, T, H, W), whole pictures.

    Frames before the first one and after the last one (or ``stop``) repeat these.
    """
    return as_clip(read_frames(reader, frame, config, stop=stop, jitter=jitter), config)


def read_frames(
    reader: VideoReader, frame: float, config: DetectionConfig, *, stop: int | None = None, jitter: bool = False
) -> Tensor:
    """The frames of ``read_clip`` as they are stored: uint8 (T, 3, h, w)."""
    step = config.stride * (reader.fps / config.target_fps if config.target_fps and reader.fps else 1.0)
    stop = min(stop or reader.num_frames, reader.num_frames)
    offsets = (np.arange(config.num_frames) - config.num_frames // 2) * step
    if jitter:
        frame += (torch.rand(()).item() - 0.5) * step
    return reader.get_frames(clips_around(frame + offsets, 1, stop=stop)[:, 0].tolist())


def as_clip(
    frames: Tensor, config: DetectionConfig, short_side: int | None = None, crop: F.Box | None = None
) -> Tensor:
    """Frames uint8 (T, 3, h, w) -> float32 (C, T, H, W): resized to the short side, cut out, normalised."""
    frames = F.resize(frames, F.fit_size(tuple(frames.shape[-2:]), short=short_side or config.size))
    frames = frames if crop is None else F.crop(frames, crop)
    return F.normalize(F.to_float(frames), config.mean, config.std).transpose(0, 1)


class BoxDataset(Dataset):
    """Key frames with boxes: ``dataset[i]`` is a ``BoxSample``.

    Args:
        records: of AVA and its like, with boxes as fractions of the picture.
        config: how the network takes clips.
        classes: names of the classes, in the order of the records' labels.
        training: take the annotated boxes, resize to a random size, cut out a random square, mirror at random and move
            the clip by up to half a stride; otherwise take the boxes of the person detector where records have some.
        bank: ``bank(record, shuffle=training)`` gives what a network with a memory sees of the whole video, for example
            ``engine.bank.FeatureBank``.
        protocol: how boxes are scored.
        short_side: least and largest, in training; None: that of ``config``, and a quarter more.
        crop: side of the square that is cut out in training; None: the least short side; 0: whole pictures.
        offset: frames by which clips lie later than the key frame.
        pictures: samples have the key frame as it is stored, for a person detector.

    Raises:
        InputError: the crop is larger than the short side; on access, boxes that are none, or a class out of range.
        VideoError: on access, a video that cannot be read, or ends before its key frame.
    """

    def __init__(
        self,
        records: Sequence[BoxesRecord],
        config: DetectionConfig,
        classes: Sequence[str],
        *,
        training: bool = False,
        bank: Callable[..., Tensor] | None = None,
        protocol: BoxProtocol | None = None,
        short_side: tuple[int, int] | None = None,
        crop: int | None = None,
        offset: int = 0,
        pictures: bool = False,
    ):
        self.records, self.config, self.training, self.bank = list(records), config, training, bank
        self.classes, self.num_classes = tuple(classes), len(classes)
        self.protocol, self.offset, self.pictures = protocol or BoxProtocol(), offset, pictures
        self.short_side = tuple(short_side or (config.size, config.size * 5 // 4))
        if len(self.short_side) != 2 or not 0 < self.short_side[0] <= self.short_side[1]:
            raise InputError(f"short_side must be the least and the largest one, such as 256, 320, not {short_side!r}.")
        self.crop = self.short_side[0] if crop is None else crop
        if not 0 <= self.crop <= self.short_side[0]:
            raise InputError(f"crop must be from 0 to the least short side, {self.short_side[0]}, not {crop!r}.")

    def __len__(self) -> int:
        return len(self.records)

    def _labels(self, index: int) -> Tensor:
        """Of the annotated boxes: float32 (N, classes)."""
        rows = self.records[index].labels
        labels = torch.zeros(len(rows), self.num_classes)
        for row, known in zip(labels, rows, strict=True):
            if any(not 0 <= c < self.num_classes for c in known):
                raise InputError(
                    f"a box of {self.records[index].video_id!r} has the classes {known}, but there are "
                    f"{self.num_classes}: pass all names as classes."
                )
            row[list(known)] = 1
        return labels

    def __getitem__(self, index: int) -> BoxSample:
        record = self.records[index]
        labels, boxes = self._labels(index), _checked(record, record.boxes)
        if not self.training and record.proposals is not None:
            boxes = _checked(record, record.proposals)
            labels = torch.zeros(len(boxes), self.num_classes)
        try:
            frames = self._frames(record)
        except VideoError as error:
            raise error if record.path in str(error) else VideoError(f"{record.path!r}: {error}") from None
        if self.training:
            clip, boxes, labels = self._augmented(frames, boxes, labels)
        else:
            clip = as_clip(frames, self.config)
            boxes = F.scale_points(boxes, (clip.shape[-1], clip.shape[-2]))
        bank = self.bank and self.bank(record, shuffle=self.training)
        picture = frames[len(frames) // 2].contiguous() if self.pictures else None
        return BoxSample(clip.contiguous(), boxes, labels, index, bank, picture)

    def _frames(self, record: BoxesRecord) -> Tensor:
        with open_video(VideoRecord(record.path)) as reader:
            time = record.timestamp - first_second(record, reader)
            frame = time if record.in_frames else frame_at(reader, time)
            if time > (reader.num_frames if record.in_frames else reader.duration):
                what = "frame" if record.in_frames else "second"
                raise VideoError(f"it ends before {what} {record.timestamp:g}, of which there are boxes.")
            stop = record.shot[1] if record.shot else None
            return read_frames(reader, frame + self.offset, self.config, stop=stop, jitter=self.training)

    def _augmented(self, frames: Tensor, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Clip, boxes and labels of a random size, place and side; boxes that are out of it are left out."""
        low, high = self.short_side
        short = int(torch.randint(low, high + 1, ()))
        height, width = size = F.fit_size(tuple(frames.shape[-2:]), short=short)
        place, inside = (0, 0, width, height), F.scale_points(boxes, (width, height))
        for _ in range(_TRIES if self.crop else 0):
            place = F.random_box(size, self.crop)
            inside = F.crop_boxes(F.scale_points(boxes, (width, height)), place)
            if _seen(inside).any():
                break
        clip, seen = as_clip(frames, self.config, short, place), _seen(inside)
        if torch.rand(()) < 0.5:
            clip, inside = F.flip(clip), F.flip_boxes(inside, clip.shape[-1])
        return clip, inside[seen], labels[seen]


_TRIES = 10  # places for a crop, if there is nobody in it
_CLOCK = 1e-3  # seconds to which containers round times
_WHOLE = 30.0  # seconds by which a video is longer than what is annotated of it, if it is the whole movie


def first_second(record: BoxesRecord, reader: VideoReader) -> float:
    """The second of the annotation that a video begins with: 0 where it is not the part alone that is annotated."""
    if record.in_frames or record.shot is not None or record.last_second is None:
        return record.first_second
    part = record.last_second - record.first_second
    return 0.0 if reader.duration > part + _WHOLE else record.first_second


def frame_at(reader: VideoReader, time: float) -> int:
    """The frame that is shown at ``time`` seconds, by the video's own clock, which may run unevenly."""
    return max(int(reader.timestamps.searchsorted(time + _CLOCK, "right")) - 1, 0)


def _seen(boxes: Tensor) -> Tensor:
    """Which of these boxes in pixels are not cut away."""
    return (boxes[:, 2:] - boxes[:, :2]).amin(1) >= 1


def _checked(record: BoxesRecord, boxes: Any) -> Tensor:
    """float32 (N, 4)."""
    boxes = torch.from_numpy(np.array(boxes, np.float32)).reshape(-1, 4)
    low, high = boxes[:, :2], boxes[:, 2:]
    # annotations reach over the picture's edge, but not by its size
    fine = (low <= high).all(1) & (low <= 1).all(1) & (high >= 0).all(1) & (boxes.abs() <= 2).all(1)
    if not fine.all():
        raise InputError(
            f"{record.video_id!r} at {record.timestamp:g} has the box {boxes[~fine][0].tolist()}: expected "
            "x1 <= x2 and y1 <= y2 as fractions of the picture, and some of it inside."
        )
    return boxes


def collate_boxes(samples: Sequence[BoxSample]) -> dict[str, Any]:
    """A batch: clips (B, C, T, H, W), smaller ones with zeros to the right and below, and lists of the rest.

    Under "bank" is that of each box, (sum Ni, C, n, 1, 1), or None.
    """
    height, width = (max(sample.clip.shape[side] for sample in samples) for side in (-2, -1))
    return {
        "clips": torch.stack(
            [
                torch.nn.functional.pad(s.clip, (0, width - s.clip.shape[-1], 0, height - s.clip.shape[-2]))
                for s in samples
            ]
        ),
        "boxes": [sample.boxes for sample in samples],
        "labels": [sample.labels for sample in samples],
        "index": [sample.index for sample in samples],
        "bank": None
        if samples[0].bank is None
        else torch.cat([s.bank.expand(len(s.boxes), *s.bank.shape) for s in samples]),
    }
