"""Records as a PyTorch data set: ``dataset[i]`` is (clip, target)."""

from __future__ import annotations

import os
import string
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info
from tqdm.auto import tqdm

from ..errors import InputError, VideoError
from ..transforms.functional import fit_size, resize
from .archives import SEPARATOR, member_frames, open_member
from .audio_io import AudioReader, StoredSpectrogram
from .flow import FlowReader, flow_pictures, has_stored_flow
from .records import BoxProtocol, Label, PoseRecord, VideoRecord
from .skeleton import load_keypoints
from .video_io import VideoReader


class VideoDataset(Dataset):
    """Labelled videos, or the skeletons in them.

    ``dataset[i]`` is ``(clip, target)``. The clip is what ``transform`` makes of the video: of ``create_transform``
    (C, T, H, W), or (V, C, T, H, W) in evaluation; of its sound or its optical flow where the network takes that. Any
    other callable gets all frames as uint8 (T, 3, H, W), of skeletons the record; without a transform these come out.
    The target is an int64 class, -1 without a label; for several labels float32 (num_classes,) of zeros and ones;
    for labels by category the same, with NaN for the categories not annotated. A video that cannot be read, or
    skeletons that the transform cannot use, are a ``VideoError`` with the name, a missing file is a
    ``FileNotFoundError``.

    Args:
        records: of a parse function; ``create_dataset`` calls one.
        transform: see above.
        classes: class names in index order.
        num_classes: number of classes where they have no names.
        categories: for labels by category, the number of tags in each, in the order of the target.

    Raises:
        InputError: a label below 0 or beyond the number of classes, or several of how many classes is not known.
    """

    def __init__(
        self,
        records: Sequence[VideoRecord] | Sequence[PoseRecord],
        transform: Any = None,
        *,
        classes: Sequence[str] = (),
        num_classes: int = 0,
        categories: dict[str, int] | None = None,
    ):
        self.transform = transform
        self.classes = tuple(classes)
        self.categories = dict(categories or {})
        self.num_classes = num_classes or len(self.classes) or sum(self.categories.values())
        self._cached: _FrameStore | None = None  # the frames of every video
        self.records = [_checked(record, self.num_classes, self.categories) for record in records]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        try:
            with self.open(index) as reader:
                target = self.target(index)
                if mirrored := getattr(self.transform, "mirrored_class", None):
                    mirror = self.transform.draw_mirror()
                    clip = self.transform.load(reader, mirror=mirror)
                    return clip, _mirrored(target, mirrored) if mirror else target
                return apply_transform(self.transform, reader), target
        except (VideoError, InputError) as error:
            record = self.records[index]
            if isinstance(error, InputError) and not isinstance(record, PoseRecord):
                raise
            path = getattr(record, "path", record.name)
            raise VideoError(str(error) if path in str(error) else f"{path!r}: {error}") from None

    def open(self, index: int) -> VideoReader | VideoPart | AudioReader | StoredSpectrogram | FlowReader:
        """A reader of video ``index``, or of its sound or optical flow where the transform takes that.

        Skeletons are read here: a context that gives the record.
        """
        record, modality = self.records[index], getattr(self.transform, "modality", "video")
        if isinstance(record, PoseRecord):
            return nullcontext(load_keypoints(record, by_person=True))
        if modality == "skeleton":
            raise InputError(f"{record.path!r} is a video, and this network takes skeletons: use a data set of those.")
        if modality == "audio":
            return open_sound(record)
        if modality == "flow" and (is_flow(record.template) or has_stored_flow(record.path)):
            return open_stored_flow(record, self.transform.stack)
        if self._cached is None:
            reader = open_video(record)
        else:
            frames, fps = self._cached[index]
            reader = VideoReader(frames, fps=fps)
        return FlowReader(reader, stack=self.transform.stack) if modality == "flow" else reader

    def target(self, index: int) -> int | Tensor:
        """What the network should say of video ``index``."""
        label = self.records[index].label
        if label is None or isinstance(label, int):
            return -1 if label is None else label
        if isinstance(label, dict):
            return _tag_target(label, self.categories)
        return torch.zeros(self.num_classes).index_fill_(0, torch.tensor(label, dtype=torch.int64), 1.0)

    def with_transform(self, transform: Any) -> VideoDataset:
        """The same videos, not copied, through another transform."""
        other = copy(self)
        other.transform = transform
        return other

    @property
    def labels(self) -> list[Label]:
        """The label of each record."""
        return [record.label for record in self.records]

    def cache(self, short_side: int) -> None:
        """Decode every video now, and keep its frames in memory at this short side; unreadable ones are left out.

        A data set that is cached already stays as it is.

        Raises:
            InputError: its transform takes sound, or it holds skeletons or stored flow.
        """
        if getattr(self.transform, "modality", "video") == "audio":
            raise InputError("only pictures can be cached, and this network takes sound: set cache to 0.")
        if any(isinstance(record, PoseRecord) or is_flow(record.template) for record in self.records):
            raise InputError("only videos can be cached, not skeletons or stored optical flow: set cache to 0.")
        if self._cached is not None:
            return
        kept, store = [], _FrameStore()
        for record in tqdm(self.records, desc="decoding", unit="video"):
            try:
                with open_video(record) as reader:
                    # the transforms' own resize: networks notice another one
                    size = fit_size(reader.size, short=min(short_side, *reader.size))
                    frames = [resize(frames, size) for frames in _in_pieces(reader)]
                    store.append(torch.cat(frames), reader.fps)
                    kept.append(record)
            except (VideoError, OSError) as error:
                tqdm.write(f"left out: {error}")
        store.close()
        self.records, self._cached = kept, store


class _FrameStore:
    """Frames of many videos in few tensors, since each of these costs a spawned loader worker a file descriptor."""

    BLOCK = 1 << 28  # bytes of a tensor, unless a single video has more

    def __init__(self) -> None:
        self._blocks: list[Tensor] = []  # uint8, flat
        self._places: list[tuple[int, int, torch.Size, float]] = []  # of each video: block, first byte, shape, fps
        self._pending: list[Tensor] = []  # of the next block

    def append(self, frames: Tensor, fps: float) -> None:
        """Add a video: uint8 (T, 3, H, W)."""
        frames, used = frames.permute(0, 2, 3, 1), sum(map(len, self._pending))  # as readers give them out
        if used + frames.numel() > self.BLOCK:
            self.close()
            used = 0
        self._places.append((len(self._blocks), used, frames.shape, fps))
        self._pending.append(frames.flatten())

    def close(self) -> None:
        """Put what is pending into a block."""
        if self._pending:
            self._blocks.append(torch.cat(self._pending))
            self._pending = []

    def __getitem__(self, index: int) -> tuple[Tensor, float]:
        """Frames, uint8 (T, H, W, 3), and how many there are a second."""
        block, start, shape, fps = self._places[index]
        return self._blocks[block][start : start + shape.numel()].view(shape), fps


class RecordDataset(Dataset):
    """Records of other tasks: ``dataset[i]`` is what ``transform`` makes of a record, or the record itself."""

    def __init__(
        self,
        records: Sequence[Any],
        transform: Callable[[Any], Any] | None = None,
        *,
        classes: Sequence[str] = (),
        protocol: BoxProtocol | None = None,
    ):
        self.records = list(records)
        self.transform = transform
        self.classes = tuple(classes)
        self.num_classes = len(self.classes)
        self.protocol = protocol  # of boxes

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Any:
        record = self.records[index]
        return record if self.transform is None else self.transform(record)


def join_datasets(datasets: Sequence[VideoDataset]) -> VideoDataset:
    """Several data sets as one; classes of the same name become one class, and the first set's come first.

    Raises:
        InputError: one has class names and another has not, or labels by category.
    """
    if any(d.categories for d in datasets) or len({bool(d.classes) for d in datasets}) > 1:
        raise InputError("only data sets with class names, or all without, can be joined.")
    classes = tuple(dict.fromkeys(name for dataset in datasets for name in dataset.classes))
    index = {name: i for i, name in enumerate(classes)}
    records = []
    for dataset in datasets:
        table = [index[name] for name in dataset.classes]
        records += [_relabelled(record, table) for record in dataset.records] if table else dataset.records
    size = max(dataset.num_classes for dataset in datasets)
    return VideoDataset(records, datasets[0].transform, classes=classes, num_classes=0 if classes else size)


def class_balanced_weights(dataset: VideoDataset) -> list[float]:
    """How often to draw each video so that every class is drawn equally often.

    Raises:
        InputError: the videos do not have one label each.
    """
    if not all(isinstance(label, int) for label in dataset.labels):
        raise InputError("classes can be balanced only where every video has one label.")
    counts = Counter(dataset.labels)
    return [1 / counts[label] for label in dataset.labels]


def apply_transform(transform: Any, reader: VideoReader | VideoPart) -> Any:
    """What ``transform`` makes of a video; see ``VideoDataset``."""
    if hasattr(transform, "load"):
        return transform.load(reader)
    if isinstance(reader, PoseRecord):
        return reader if transform is None else transform(reader)
    frames = reader.get_frames(range(reader.num_frames))
    return frames if transform is None else transform(frames)


def _in_pieces(reader: VideoReader | VideoPart, count: int = 32) -> Iterator[Tensor]:
    """All frames, ``count`` at a time: (n, 3, H, W)."""
    for first in range(0, reader.num_frames, count):
        yield reader.get_frames(range(first, min(first + count, reader.num_frames)))


# ---------------------------------------------------------------------------------------------------- opening videos


def open_video(record: VideoRecord) -> VideoReader | VideoPart:
    """A reader of the video, or of the part of it, that a record names.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: it cannot be read, or the part lies outside the video.
    """
    return _part(_open(_source(record), record), record)


def _open(source: Any, record: VideoRecord) -> VideoReader:
    threads = 1 if get_worker_info() else 0  # loader workers share the cores
    return VideoReader(source, threads=threads, **({"fps": record.fps} if record.fps else {}))


def _part(reader: VideoReader, record: VideoRecord) -> VideoReader | VideoPart:
    if record.start is None and record.end is None:
        return reader
    try:
        return VideoPart(reader, record.start or 0.0, record.end)
    except VideoError as error:
        reader.close()
        raise VideoError(f"{record.path!r}: {error}") from None


def open_sound(record: VideoRecord) -> AudioReader | StoredSpectrogram:
    """A reader of the sound of the video, or of the part of it, that a record names.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: it cannot be read, or has no sound; or a part of a stored spectrogram is asked for.
    """
    if record.path.lower().endswith(".npy"):
        if record.start is not None or record.end is not None:
            raise VideoError(f"{record.path!r} is a stored spectrogram, of which parts cannot be had by seconds.")
        return StoredSpectrogram(_source(record))
    return AudioReader(_source(record), start=record.start, end=record.end)


def _source(record: VideoRecord) -> Any:
    if is_flow(record.template):
        raise InputError(f"{record.path!r} has pictures {record.template!r} of x and y, which networks on flow take.")
    if record.template is not None:
        return _pictures(record)
    if SEPARATOR not in record.path:
        return record.path
    frames = member_frames(record.path)
    return [partial(open_member, name) for name in frames] if frames else open_member(record.path)


def _pictures(record: VideoRecord, *axis: str) -> list[Any]:
    """The images that the template names."""
    numbers = range(record.first_frame, record.first_frame + (record.num_frames or 0))
    names = [record.template.format(*axis, number) for number in numbers]
    if SEPARATOR in record.path:
        return [partial(open_member, f"{record.path}/{name}") for name in names]
    return [os.path.join(record.path, name) for name in names]


def is_flow(template: str | None) -> bool:
    """Whether it has a place for x and y before that of the number."""
    return sum(field is not None for _, field, _, _ in string.Formatter().parse(template or "")) == 2


def open_stored_flow(record: VideoRecord, stack: int = 1) -> FlowReader:
    """A reader of the flow pictures that a record names, or that are in its folder; raises as :func:`open_video`."""
    if is_flow(record.template):
        sources = [_pictures(record, axis) for axis in "xy"]
    else:
        first, count = record.first_frame, record.num_frames
        sources = flow_pictures(record.path, None if count is None else range(first, first + count))
    return FlowReader(tuple(_part(_open(source, record), record) for source in sources), stack=stack)


class VideoPart:
    """The frames of a reader that are shown from ``start`` to ``end`` (seconds), at least one, numbered from 0.

    >>> frames = torch.zeros(90, 3, 8, 8, dtype=torch.uint8)
    >>> VideoPart(VideoReader(frames, fps=30), 1.0, 2.0).num_frames
    30
    """

    def __init__(self, reader: VideoReader, start: float, end: float | None):
        times = reader.timestamps
        if start >= reader.duration or (end is not None and end <= start):
            raise VideoError(f"the part from {start:g} to {end} s is empty: the video lasts {reader.duration:.3f} s.")
        tolerance = 0.5 / reader.fps  # times in annotations are rounded
        self.reader = reader
        self.first = min(int(times.searchsorted(start - tolerance)), len(times) - 1)
        stop = len(times) if end is None else int(times.searchsorted(end - tolerance))
        self.num_frames = max(stop - self.first, 1)
        self.fps = reader.fps
        self.size = reader.size

    def get_frames(self, indices: Sequence[int], size: int | tuple[int, int] | None = None) -> Tensor:
        """As ``VideoReader.get_frames``."""
        return self.reader.get_frames([self.first + int(i) for i in indices], size)

    def close(self) -> None:
        self.reader.close()

    def __enter__(self) -> VideoPart:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


# ------------------------------------------------------------------------------------------------------------ labels


def _checked(record: Any, num_classes: int, categories: dict[str, int]) -> Any:
    """The record, of which a label of NumPy's becomes a plain number."""
    label = record.label
    if isinstance(label, np.integer):
        label = int(label)
        record = replace(record, label=label)
    if isinstance(label, dict):
        for name, tags in label.items():
            if name in categories and not all(0 <= tag < categories[name] for tag in tags):
                raise InputError(f"{record.name!r} has tags {tags}, but {name!r} has {categories[name]} of them.")
        return record
    if label is None or (label == -1 and isinstance(record, PoseRecord)):  # the label of skeletons without one
        return record
    if not isinstance(label, int) and not num_classes:
        raise InputError(
            f"{record.name!r} has several labels, and how many classes there are is not known: list their names in "
            "classes.txt, or pass num_classes."
        )
    for value in (label,) if isinstance(label, int) else label:
        if value < 0:
            raise InputError(f"{record.name!r} is of class {value}, but classes count from 0: give None for no label.")
        if num_classes and value >= num_classes:
            raise InputError(f"{record.name!r} is of class {value}, but there are {num_classes} classes.")
    return record


def _tag_target(label: dict[str, tuple[int, ...]], categories: dict[str, int]) -> Tensor:
    parts = []
    for name, size in categories.items():
        part = torch.zeros(size) if name in label else torch.full((size,), torch.nan)
        parts.append(part.index_fill_(0, torch.tensor(label.get(name, ()), dtype=torch.int64), 1.0))
    return torch.cat(parts)


def _mirrored(target: int | Tensor, classes: dict[int, int]) -> int | Tensor:
    """The target of the mirrored clip; ``classes`` are those that change."""
    if not isinstance(target, Tensor):
        return classes.get(target, target)
    target[list(classes)] = target[list(classes.values())]
    return target


def _relabelled(record: VideoRecord, table: list[int]) -> VideoRecord:
    if record.label is None or record.label == -1:
        return record
    label = table[record.label] if isinstance(record.label, int) else tuple(table[i] for i in record.label)
    return replace(record, label=label)
