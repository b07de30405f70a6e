"""Clips around key frames with the boxes of the persons in them, for action detection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import InputError
from ..transforms import functional as F
from ..transforms.sampling import clips_around
from ..weights.types import DetectionConfig
from .records import BoxesRecord
from .video_io import VideoReader


class BoxSample(NamedTuple):
    """A clip around a key frame."""

    clip: Tensor  # float32 (C, T, H, W), normalised
    boxes: Tensor  # float32 (N, 4) in pixels of the clip
    labels: Tensor  # float32 (N, classes) of 0 and 1; zeros for boxes of a person detector
    index: int  # of the record
    bank: Tensor | None = None  # float32 (C, n, 1, 1), of networks that look at the whole video


def read_clip(
    reader: VideoReader, frame: float, config: DetectionConfig, *, stop: int | None = None, jitter: bool = False
) -> Tensor:
    """The clip around a frame as a network takes it: float32 (C, T, H, W), whole pictures.

    Frames before the first one and after the last one (or ``stop``) repeat these.
    """
    step = config.stride * (reader.fps / config.target_fps if config.target_fps and reader.fps else 1.0)
    stop = min(stop or reader.num_frames, reader.num_frames)
    offsets = (np.arange(config.num_frames) - config.num_frames // 2) * step
    if jitter:
        frame += (torch.rand(()).item() - 0.5) * step
    indices = clips_around(frame + offsets, 1, stop=stop)[:, 0]
    size = F.fit_size(reader.size, short=config.size)
    frames = F.normalize(F.to_float(F.resize(reader.get_frames(indices.tolist()), size)), config.mean, config.std)
    return frames.transpose(0, 1)


class BoxDataset(Dataset):
    """Key frames with boxes: ``dataset[i]`` is a ``BoxSample``.

    Args:
        records: of AVA and its like, with boxes as fractions of the picture.
        config: how the network takes clips.
        classes: names of the classes, in the order of the records' labels.
        training: take the annotated boxes, mirror at random and move the clip by up to half a stride; otherwise take
            the boxes of the person detector where records have some.
        bank: ``bank(record, shuffle=training)`` gives what a network with a memory sees of the whole video, for example
            ``engine.bank.FeatureBank``.
    """

    def __init__(
        self,
        records: Sequence[BoxesRecord],
        config: DetectionConfig,
        classes: Sequence[str],
        *,
        training: bool = False,
        bank: Callable[..., Tensor] | None = None,
    ):
        self.records, self.config, self.training, self.bank = list(records), config, training, bank
        self.classes, self.num_classes = tuple(classes), len(classes)

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
        labels, boxes = self._labels(index), torch.from_numpy(np.asarray(record.boxes, np.float32)).reshape(-1, 4)
        if not self.training and record.proposals is not None:
            boxes = torch.from_numpy(np.asarray(record.proposals, np.float32))
            labels = torch.zeros(len(boxes), self.num_classes)
        with VideoReader(record.path) as reader:
            time = record.timestamp - record.first_second
            frame = time if record.in_frames else time * reader.fps
            stop = record.shot[1] if record.shot else None
            clip = read_clip(reader, frame, self.config, stop=stop, jitter=self.training)
        height, width = clip.shape[-2:]
        boxes = F.scale_points(boxes, (width, height))
        if self.training and torch.rand(()) < 0.5:
            clip, boxes = F.flip(clip), F.flip_boxes(boxes, width)
        bank = self.bank and self.bank(record, shuffle=self.training)
        return BoxSample(clip.contiguous(), boxes, labels, index, bank)


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
