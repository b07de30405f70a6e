"""Stored features of videos: files of them, and samples for localization networks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import InputError
from ..weights.types import SegmentConfig
from .lists import VIDEO_SUFFIXES
from .records import SegmentsRecord
from .video_io import VideoReader


class FeatureSample(NamedTuple):
    """A video's features with what is true of it."""

    features: Tensor  # float32 (C, T)
    segments: Tensor  # float32 (M, 2) in steps: 0 is the middle of the first one
    labels: Tensor  # int64 (M,)
    fractions: np.ndarray  # float64 (M, 2): the segments as fractions of the video


def read_features(path: str | Path) -> np.ndarray:
    """Features of a video, float32 (T, C), of ``.npy``, ``.csv`` (with a header line) or ``.h5`` (``FILE.h5::NAME``).

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    path = str(path)
    file, _, name = path.partition("::")
    try:
        if file.endswith((".h5", ".hdf5")):
            values = _read_h5(file, name or "features")
        elif file.endswith(".csv"):
            values = np.loadtxt(file, np.float32, delimiter=",", skiprows=1, ndmin=2)
        else:
            values = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(
            f"there is no file of features {file!r}: make it with vidhub extract, or see its path."
        ) from None
    except (OSError, ValueError, KeyError) as error:
        if "pickle" in str(error):
            error = ValueError("it is no NumPy file of numbers")
        raise InputError(f"cannot read the features {path!r} ({' '.join(str(error).split())}).") from error
    if values.ndim != 2 or not values.size:
        raise InputError(f"features must be of shape (steps, channels), those in {path!r} are {values.shape}.")
    return np.ascontiguousarray(values, np.float32)


def _read_h5(file: str, name: str) -> np.ndarray:
    try:
        import h5py
    except ImportError:
        raise InputError(f"reading {file!r} needs h5py: pip install h5py.") from None
    with h5py.File(file) as content:
        return content[name][()]


def find_features(path: str) -> str:
    """Where the features of a video are: in the folder ``features`` beside the video's own, under its name.

    >>> find_features("thumos14/videos/a.mp4")
    'thumos14/features/a.npy'

    Features themselves are where they are. Of several formats that are there ``.npy`` is taken first.
    """
    video = Path(path)
    if video.suffix.lower() not in VIDEO_SUFFIXES:
        return path
    names = [video.parent.parent / "features" / f"{video.stem}{suffix}" for suffix in (".npy", ".h5", ".hdf5", ".csv")]
    return str(next((name for name in names if name.exists()), names[0]))


def rescale(features: Tensor, steps: int) -> Tensor:
    """(C, T) features as ``steps`` ones, by linear interpolation at the middles of as many equal parts."""
    if features.shape[1] == steps:
        return features
    return torch.nn.functional.interpolate(features[None], size=steps, mode="linear", align_corners=False)[0]


class FeatureDataset(Dataset):
    """Features of untrimmed videos: ``dataset[i]`` is a ``FeatureSample``.

    Args:
        records: with the path of a feature file each, or of a video, see ``find_features``; a file is taken to cover
            the whole video, or where a record says so its first ``feature_frames``.
        classes: names of the classes of the records' labels; others are left out.
        max_steps: longer videos are cut at random to that many steps, around a segment at least; for training.
        cache: keep what was read.
    """

    def __init__(
        self,
        records: Sequence[SegmentsRecord],
        config: SegmentConfig,
        classes: Sequence[str] = (),
        *,
        max_steps: int | None = None,
        cache: bool = True,
    ):
        self.records = [replace(record, path=find_features(record.path)) for record in records]
        self.config, self.max_steps = config, max_steps
        self._videos = [record.path for record in records]
        self._seconds: dict[int, float] = {}  # of videos whose annotation does not state them
        self.classes, self.num_classes = tuple(classes), len(classes)
        self._index = {name: i for i, name in enumerate(classes)}
        self._kept: dict[int, Tensor] | None = {} if cache else None

    def __len__(self) -> int:
        return len(self.records)

    def features(self, index: int) -> Tensor:
        """As the network takes them: float32 (C, T)."""
        if self._kept is not None and index in self._kept:
            return self._kept[index]
        record = self.records[index]
        values = torch.from_numpy(read_features(record.path)).T.contiguous()
        if values.shape[0] != self.config.feature_dim:
            raise InputError(
                f"the features in {record.path!r} have {values.shape[0]} channels, the network takes "
                f"{self.config.feature_dim}: create it with feature_dim={values.shape[0]}."
            )
        if self.config.num_steps:
            values = rescale(values, self.config.num_steps)
        if self._kept is not None:
            self._kept[index] = values
        return values

    def check(self, *, training: bool = False) -> None:
        """See that every video has a file of features and a duration, before anything long begins.

        Raises:
            InputError: one has not, or, for training, there is no segment in any video.
        """
        missing = [r for r in self.records if not os.path.exists(str(r.path).partition("::")[0])]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(self.records)} videos have no features, such as {str(missing[0].path)!r}: "
                "make them with vidhub extract."
            )
        for index in range(len(self)):
            self.duration(index)
        if training and not any(len(record.segments) for record in self.records):
            raise InputError("there is no segment in any of the training videos: annotate some.")

    def duration(self, index: int) -> float:
        """Seconds that the features cover; where the annotation does not state them, those of the video."""
        record = self.records[index]
        if record.feature_frames and record.num_frames:
            return record.feature_frames / record.num_frames * record.duration
        if record.duration > 0:
            return record.duration
        if index not in self._seconds:
            path = self._videos[index]
            if path == record.path or not os.path.exists(path):
                raise InputError(
                    f"the annotation does not say how long {record.video_id!r} is; add duration_second to it."
                )
            with VideoReader(path) as reader:
                self._seconds[index] = reader.duration
        return self._seconds[index]

    def __getitem__(self, index: int) -> FeatureSample:
        record, features = self.records[index], self.features(index)
        known = [i for i, name in enumerate(record.labels) if not self.classes or name in self._index]
        labels = torch.tensor([self._index.get(record.labels[i], 0) for i in known], dtype=torch.int64)
        fractions = record.segments[known] / self.duration(index)
        segments = torch.from_numpy(fractions * features.shape[1] - 0.5).float()
        if self.max_steps and features.shape[1] > self.max_steps:
            features, segments, labels = _cut(features, segments, labels, self.max_steps)
        return FeatureSample(features, segments, labels, fractions.clip(0, 1))


def _cut(features: Tensor, segments: Tensor, labels: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """A random part with at least half of some segment in it; segments of which less is left go."""
    for _ in range(100):
        first = int(torch.randint(features.shape[1] - steps + 1, ()))
        inside = segments.clamp(first - 0.5, first + steps - 0.5)
        kept = (inside[:, 1] - inside[:, 0]) >= 0.5 * (segments[:, 1] - segments[:, 0])
        if kept.any():
            break
    return features[:, first : first + steps], inside[kept] - first, labels[kept]


def collate_features(samples: Sequence[FeatureSample]) -> dict[str, Any]:
    """A batch: features (B, C, T) with zeros after the end of shorter videos, mask (B, T), and lists of the rest."""
    longest = max(sample.features.shape[1] for sample in samples)
    lengths = torch.tensor([sample.features.shape[1] for sample in samples])
    features = torch.stack([torch.nn.functional.pad(s.features, (0, longest - s.features.shape[1])) for s in samples])
    return {
        "features": features,
        "mask": torch.arange(longest) < lengths[:, None],
        "segments": [sample.segments for sample in samples],
        "labels": [sample.labels for sample in samples],
        "fractions": [torch.from_numpy(sample.fractions) for sample in samples],
    }
