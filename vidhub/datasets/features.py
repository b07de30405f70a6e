"""Stored features of videos: files of them, and samples for localization networks."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from ..errors import InputError
from ..transforms.localization import step_times
from ..weights.types import SegmentConfig
from .lists import VIDEO_SUFFIXES
from .records import SegmentsRecord
from .video_io import VideoReader

_MOST_KEPT = 1 << 30  # bytes of features in memory
_logger = logging.getLogger(__name__)


class FeatureSample(NamedTuple):
    """A video's features with what is true of it."""

    features: Tensor  # float32 (C, T)
    segments: Tensor  # float32 (M, 2) in steps: 0 is the middle of the first one
    labels: Tensor  # int64 (M,)
    fractions: np.ndarray  # float64 (M, 2): the segments as fractions of the video


def is_feature_file(path: str | Path) -> bool:
    """Whether a path is one that :func:`read_features` takes, by its name."""
    return str(path).partition("::")[0].endswith((".npy", ".csv", ".h5", ".hdf5"))


def read_features(path: str | Path) -> np.ndarray:
    """Features of a video, float32 (T, C), of ``.npy``, ``.csv`` (with a header line) or ``.h5`` (``FILE.h5::NAME``).

    Raises:
        InputError: there is no such file, or it holds something else, or values that are not finite.
    """
    values = np.ascontiguousarray(_load(path), np.float32)
    if not np.isfinite(values).all():
        step = int(np.argmin(np.isfinite(values).all(1)))
        raise InputError(f"the features in {str(path)!r} hold NaN or infinity, first at step {step}: make them again.")
    return values


def num_channels(path: str | Path) -> int:
    """Of a file of features, without reading all of it.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    return _load(path, brief=True).shape[1]


def stored_duration(path: str | Path) -> float | None:
    """Seconds that features cover, where ``vidhub extract`` wrote them into the file (``.h5``)."""
    file = str(path).partition("::")[0]
    if not file.endswith((".h5", ".hdf5")) or not os.path.exists(file):
        return None
    with _open_h5(file) as content:
        duration = content.attrs.get("duration")
    return None if duration is None else float(duration)


def _load(path: str | Path, brief: bool = False) -> np.ndarray:
    """(T, C) numbers; brief: as many rows as are cheap to have."""
    file, _, name = str(path).partition("::")
    try:
        if file.endswith((".h5", ".hdf5")):
            with _open_h5(file) as content:
                values = content[name or "features"][: 1 if brief else None]
        elif file.endswith(".csv"):
            rows = 1 if brief else None
            values = np.loadtxt(file, np.float32, delimiter=",", skiprows=1, ndmin=2, max_rows=rows)
        else:
            values = np.load(file, mmap_mode="r" if brief else None, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(
            f"there is no file of features {file!r}: make it with vidhub extract, or see its path."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        if "pickle" in str(error) or "Python objects" in str(error):
            error = ValueError("it is no NumPy file of numbers")
        raise InputError(f"cannot read the features {str(path)!r} ({' '.join(str(error).split())}).") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or not values.size or values.dtype.kind not in "biuf":
        found = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else "no array"
        raise InputError(f"features must be numbers of shape (steps, channels), those in {str(path)!r} are {found}.")
    return values


def _open_h5(file: str) -> Any:
    try:
        import h5py
    except ImportError:
        raise InputError(f"reading {file!r} needs h5py: pip install h5py.") from None
    return h5py.File(file)


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
        config: of the network; see ``SegmentConfig``.
        classes: names of the classes of the records' labels; others are left out.
        max_steps: longer videos are cut at random to that many steps, around half a segment at least; for training.
        crop: shares between which a random one of the steps of other videos is kept, likewise; None: all.
        cache: keep what was read, up to 1 GiB in all loader workers together.

    Raises:
        InputError: ``crop`` is no pair of shares, or parts are asked for of a network for whole videos.
    """

    def __init__(
        self,
        records: Sequence[SegmentsRecord],
        config: SegmentConfig,
        classes: Sequence[str] = (),
        *,
        max_steps: int | None = None,
        crop: tuple[float, float] | None = None,
        cache: bool = True,
    ):
        if crop is not None and not (len(crop) == 2 and 0 < crop[0] <= crop[1] <= 1):
            raise InputError(f"crop must be two shares of a video such as (0.9, 1.0), not {crop!r}.")
        if config.num_steps and (max_steps or crop):
            raise InputError(
                f"this network takes whole videos in {config.num_steps} steps: leave num_frames and crop out."
            )
        self.records = [replace(record, path=find_features(record.path)) for record in records]
        self.config, self.max_steps, self.crop = config, max_steps, crop
        self._videos = [record.path for record in records]
        self._seconds: dict[int, float] = {}  # of videos whose annotation does not state them
        self.classes, self.num_classes = tuple(classes), len(classes)
        self._index = {name: i for i, name in enumerate(classes)}
        self._kept: dict[int, Tensor] | None = {} if cache else None
        self._bytes_kept = 0

    def __len__(self) -> int:
        return len(self.records)

    def features(self, index: int) -> Tensor:
        """As the network takes them: float32 (C, T)."""
        if self._kept is not None and index in self._kept:
            return self._kept[index]
        record = self.records[index]
        values = torch.from_numpy(read_features(record.path)).T.contiguous()
        self._check_channels(record, values.shape[0])
        if self.config.num_steps:
            values = rescale(values, self.config.num_steps)
        if self._kept is not None:
            self._keep(index, values)
        return values

    def _keep(self, index: int, values: Tensor) -> None:
        worker = get_worker_info()  # each keeps its own
        if self._bytes_kept + values.nbytes <= _MOST_KEPT // (worker.num_workers if worker else 1):
            self._kept[index] = values
            self._bytes_kept += values.nbytes

    def check(self, *, training: bool = False) -> None:
        """See that every video has fitting features and a duration, before anything long begins.

        Segments from which nothing can be learnt are told of.

        Raises:
            InputError: one has not, or there is no segment in any video; for training, none inside of one.
        """
        missing = [r for r in self.records if not os.path.exists(str(r.path).partition("::")[0])]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(self.records)} videos have no features, such as {str(missing[0].path)!r}: "
                "make them with vidhub extract."
            )
        for record in self.records:
            self._check_channels(record, num_channels(record.path))
        seconds = [self.duration(index) for index in range(len(self))]
        kind = "training videos" if training else "videos to be measured on"
        count = sum(len(record.segments) for record in self.records)
        if not count:
            raise InputError(f"there is no segment in any of the {kind}: annotate some.")
        lost = {
            record.video_id: bad
            for record, end in zip(self.records, seconds, strict=True)
            if (bad := int((np.diff(record.segments.clip(0, end)) <= 0).sum()))
        }
        if training and sum(lost.values()) == count:
            raise InputError(
                f"none of the {count} segments of the training videos is inside its video and has a length: give them "
                "as [start, end] in seconds."
            )
        if lost:
            _logger.warning(
                "%d of %d segments of the %s are outside of their video, or have no length, such as in %r.",
                sum(lost.values()), count, kind, next(iter(lost)),
            )  # fmt: skip

    def _check_channels(self, record: SegmentsRecord, channels: int) -> None:
        if channels != self.config.feature_dim:
            raise InputError(
                f"the features in {record.path!r} have {channels} channels, the network takes "
                f"{self.config.feature_dim}: create it with feature_dim={channels}, or look at the file."
            )

    def duration(self, index: int) -> float:
        """Seconds that the features cover; where the annotation does not state them, those of the file or video."""
        record = self.records[index]
        if record.feature_frames and record.num_frames:
            return record.feature_frames / record.num_frames * record.duration
        if record.duration > 0:
            return record.duration
        if index not in self._seconds:
            video = self._videos[index]
            if seconds := stored_duration(record.path):
                self._seconds[index] = seconds
            elif video != record.path and os.path.exists(video):
                with VideoReader(video) as reader:
                    self._seconds[index] = reader.duration
            else:
                raise InputError(
                    f"the annotation does not say how long {record.video_id!r} is; add duration_second to it."
                )
        return self._seconds[index]

    def __getitem__(self, index: int) -> FeatureSample:
        record, features, config = self.records[index], self.features(index), self.config
        known = [i for i, name in enumerate(record.labels) if not self.classes or name in self._index]
        labels = torch.tensor([self._index.get(record.labels[i], 0) for i in known], dtype=torch.int64)
        seconds, duration, steps = record.segments[known], self.duration(index), features.shape[1]
        fractions = seconds / duration
        first, step = step_times(steps, duration, config.feature_stride, config.feature_window, record.fps)
        places, reach = (seconds - first) / step, first / step
        if (length := self._draw_length(steps)) < steps:
            start, places, kept = _draw_part(steps, length, places, reach)
            features, labels = features[:, start : start + length], labels[torch.from_numpy(kept)]
            fractions = (places + reach) / (length - 1 + 2 * reach)
        return FeatureSample(features, torch.from_numpy(places).float(), labels, fractions.clip(0, 1))

    def _draw_length(self, steps: int) -> int:
        if self.max_steps and steps > self.max_steps:
            return self.max_steps
        if self.crop is None:
            return steps
        low, high = (max(round(share * steps), 1) for share in self.crop)
        return int(torch.randint(low, high + 1, ()))


def _draw_part(steps: int, length: int, places: np.ndarray, reach: float) -> tuple[int, np.ndarray, np.ndarray]:
    """A random part of ``length`` steps with at least half of some segment in it; segments of which less is left go.

    Args:
        places: (M, 2) segments in steps.
        reach: steps before the middle of a step that it looks at.

    Returns:
        The first step, the (K, 2) segments inside in steps of the part, and which they are, bool (M,).
    """
    for _ in range(100):
        start = int(torch.randint(steps - length + 1, ()))
        inside = places.clip(start - reach, start + length - 1 + reach)
        left = np.diff(inside)[:, 0]
        kept = (left > 0) & (left >= 0.5 * np.diff(places)[:, 0])
        if kept.any() or not len(places):
            break
    return start, inside[kept] - start, kept


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
