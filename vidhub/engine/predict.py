"""From videos to class names: decode, transform, run the network, average the views."""

from __future__ import annotations

import inspect
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..datasets.audio_io import AudioReader
from ..datasets.flow import FlowReader
from ..datasets.video_io import VideoReader
from ..errors import InputError, VidhubError, unknown_name
from ..models._factory import create_model
from ..models.ssn import SSN
from ..transforms.audio import AudioTransform
from ..transforms.factory import VideoTransform, create_transform
from ..transforms.poses import SkeletonTransform
from ..weights import tables
from ..weights.types import DataConfig, DetectionConfig, SegmentConfig
from .poses import KeypointRCNN, PoseEstimator, as_poses
from .scoring import Loaded, group_views, score_videos

_AHEAD = 2  # videos that are decoded while the network is busy
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Prediction:
    """The likeliest classes of one video, best first."""

    source: str  # path or address; for data in memory its type
    labels: list[str]
    scores: list[float]  # probabilities: of all classes they sum to 1, unless several apply at once
    indices: list[int]  # of the classes, in the model's own order

    def __str__(self) -> str:
        return "\n".join(f"{score:.3f}  {label}" for score, label in zip(self.scores, self.labels, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, ready for JSON."""
        return asdict(self)


def predict(
    model: nn.Module | str | None,
    sources: Any,
    *,
    topk: int = 5,
    views: int | Literal["one", "test"] | tuple[int, int] | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    batch_size: int | None = None,
    progress: bool | None = None,
    labels: Sequence[str] | None = None,
    errors: Literal["raise", "return"] = "raise",
    poses: PoseEstimator | Any = None,
    detector: Callable[[Tensor], Any] | None = None,
) -> Prediction | list[Prediction]:
    """Name what happens in videos.

    Args:
        model: of ``create_model``; or a name, whose published weights are then loaded; None: the small network that
            comes with the package.
        sources: one video or a list of them: path, URL, folder of frame images, bytes, binary file, ``VideoReader``,
            uint8 array (T, H, W, 3) or uint8 tensor (T, 3, H, W). What has no clock counts as 30 frames a second. Audio
            networks hear the sound track of a file, networks of two channels see the optical flow: see ``FlowReader``.
            For networks on skeletons also stored ones: a ``PoseRecord``, a dictionary with "keypoint" (persons, frames,
            joints, 2 or 3) and "keypoint_score", or a JSON file or a folder of them, see ``read_pose_json``.
        topk: how many classes to return; all of them if there are fewer.
        views: None for one clip from the middle, "test" for the protocol of the published score, a number of clips, or
            (clips, crops); see ``create_transform``.
        device: where to run; the model moves there and stays. None: where it is if that is no CPU, else the first GPU
            if there is one.
        dtype: "float16" or "bfloat16" (or these torch dtypes) for mixed precision; None: as the model is.
        batch_size: views that go through the network at once; None: 8, or 1 on a CPU, where that is fastest.
        progress: show a bar on stderr; None: for several videos, if stderr is a terminal.
        labels: class names that replace the model's, ``model.num_classes`` of them.
        poses: finds skeletons in frames: uint8 (n, 3, H, W) -> a ``Persons`` for each of them; None: ``KeypointRCNN``.
            Or the stored skeletons of the one video, as ``sources`` may be.
        detector: of networks that name what each person does, finds the persons in a frame: uint8 (3, H, W) -> boxes
            (N, 4) in pixels; None: torchvision's Faster R-CNN. They give an ``ActionPrediction``, networks that find
            segments a ``SegmentPrediction``: see ``localization.predict_segments``.
        errors: "return" puts the error of a video that cannot be read in the place of its prediction and goes on.

    Returns:
        A ``Prediction``, or for a list of videos a list of them in the same order. A class without a name is called
        "class 17".

    Raises:
        InputError: an argument of the wrong kind, shape or value, or a device that is not there.
        FileNotFoundError, VideoError: a video is missing or cannot be read, or shows nobody where skeletons are needed.
        UnknownNameError, WeightsError: see ``create_model``.
    """
    dtype, device = checked_dtype(dtype), pick_device(device, model)
    batch_size = checked_batch_size(batch_size, device)
    check_counts(topk=topk)
    if not isinstance(model, nn.Module):
        model = create_model(tables.EMBEDDED if model is None else model, pretrained=True)
    if isinstance(getattr(model, "data_config", None), DetectionConfig):
        from .detection import FasterRCNN, predict_actions

        if views is not None or poses is not None:
            raise InputError("views and poses are not for networks that name what each person does: leave them out.")
        detector = detector or FasterRCNN(device=device)  # one for all videos
        settings = {"detector": detector, "topk": topk, "device": device, "labels": labels}
        settings |= {"dtype": dtype, "batch_size": batch_size}
        return _one_by_one(partial(predict_actions, model, **settings), sources, errors)
    if detector is not None:
        raise InputError("detector is for networks that name what each person does: leave it out.")
    if isinstance(model, SSN):
        raise InputError(
            "SSN judges proposals: engine.localization.predict_segments takes them, and vidhub predict --task "
            "localization --proposals FILE."
        )
    if isinstance(getattr(model, "data_config", None), SegmentConfig):
        from .localization import predict_segments

        given = {"views": views, "poses": poses, "labels": labels, "dtype": dtype}
        if useless := [name for name, value in given.items() if value is not None]:
            raise InputError(f"{' and '.join(useless)} cannot be had of networks that find segments: leave it out.")
        settings = {"topk": topk, "device": device, "batch_size": batch_size}
        return _one_by_one(partial(predict_segments, model, **settings), sources, errors)
    names = class_names(model, labels)
    transform = create_transform(model.data_config, views=views)
    model.to(device)
    several = isinstance(sources, (list, tuple))
    videos = sources if several else [sources]
    if isinstance(transform, SkeletonTransform):
        if poses is not None and not callable(poses) and len(videos) > 1:
            raise InputError(f"stored poses are those of one video, and there are {len(videos)}: predict one by one.")
        transform = _FromVideo(transform, KeypointRCNN(device=device) if poses is None else poses)
    elif poses is not None:
        raise InputError(f"poses are for networks on skeletons, and this one takes {model.data_config.summary}.")

    progress = len(videos) > 1 and sys.stderr.isatty() if progress is None else progress
    loaded = tqdm(_load_ahead(videos, transform), total=len(videos), unit="video", disable=not progress)
    results = []
    for group in group_views(loaded, batch_size):
        readable = [clips for _, clips in group if isinstance(clips, Tensor)]
        scores = iter(score_videos(model, readable, dtype, batch_size))
        for source, clips in group:
            if isinstance(clips, Exception) and errors == "raise":
                raise clips
            results.append(clips if isinstance(clips, Exception) else best_classes(source, next(scores), names, topk))
    return results if several else results[0]


def _one_by_one(predict_one: Callable[[Any], Any], sources: Any, errors: str) -> Any:
    if not isinstance(sources, (list, tuple)):
        return predict_one(sources)
    found = []
    for source in sources:
        try:
            found.append(predict_one(source))
        except (VidhubError, OSError) as error:
            if errors == "raise":
                raise
            found.append(error)
    return found


def check_counts(*, at_least: int = 1, **counts: Any) -> None:
    """InputError for what is no positive whole number (or 0, where that is ``at_least``), by its name."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < at_least:
            raise InputError(f"{name} must be {'' if at_least else '0 or '}a positive number, not {count!r}.")


def check_arguments(function: Callable, others: Iterable[str]) -> None:
    """UnknownNameError for the first of what ``function`` was given besides its own arguments."""
    for name in others:
        known = [p.name for p in inspect.signature(function).parameters.values() if p.kind != p.VAR_KEYWORD]
        raise unknown_name(f"argument of {function.__name__}", name, known)


def checked_batch_size(batch_size: int | None, device: torch.device) -> int:
    """Views at once; of None 8, or 1 on a CPU, which is slower with several, whose maps do not fit into its caches.

    Raises:
        InputError: it is no positive whole number.
    """
    batch_size = (1 if device.type == "cpu" else 8) if batch_size is None else batch_size
    check_counts(batch_size=batch_size)
    return batch_size


def checked_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """The dtype meant by a name or a dtype; InputError for others than float32, float16 and bfloat16."""
    found = _DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if dtype is not None and found not in _DTYPES.values():
        raise InputError(f"dtype must be one of {', '.join(_DTYPES)}, not {dtype!r}.")
    return found


def pick_device(device: str | torch.device | None, model: nn.Module | str | None) -> torch.device:
    """See ``predict``; InputError where the machine does not have it."""
    if device is None:
        here = next(model.parameters(), torch.empty(0)).device if isinstance(model, nn.Module) else torch.device("cpu")
        return torch.device("cuda") if here.type == "cpu" and torch.cuda.is_available() else here
    try:
        torch.zeros(1, device=device).item()
        return torch.device(device)
    except (RuntimeError, AssertionError, TypeError):
        present = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise InputError(f"device {str(device)!r} cannot be used; this machine has {', '.join(present)}.") from None


def class_names(model: nn.Module, labels: Sequence[str] | None) -> list[str]:
    """A name for each class: those given, else the model's own, else numbers."""
    count, config = getattr(model, "num_classes", 0), getattr(model, "data_config", None)
    if not count or config is None:
        raise InputError(f"predict needs a classifier of create_model, and this {type(model).__name__} is none.")
    if isinstance(config, DataConfig) and (channels := len(config.mean)) != 3 and channels % 2:
        raise InputError(
            f"this network takes {channels} channels: predict reads RGB, which has 3, or optical flow, which has 2."
        )
    if labels is not None and len(labels) != count:
        raise InputError(f"labels must be {count} names, one a class, not {len(labels)}.")
    labels = labels or model.labels
    return list(labels) if labels and len(labels) == count else [f"class {i}" for i in range(count)]


def _load_ahead(sources: Sequence[Any], transform: VideoTransform) -> Iterator[Loaded]:
    """The sources in order, the next ones decoded in threads while the caller is busy with the last."""
    locks = {id(source): threading.Lock() for source in sources}  # one reader or file may be listed twice

    def load(source: Any) -> Tensor | VidhubError | OSError:
        try:
            with locks[id(source)], open_reader(source, transform) as reader:
                return transform.load(reader)
        except (VidhubError, OSError) as error:
            return error

    if isinstance(transform, _FromVideo):  # which is busy with a network of its own
        yield from ((source, _or_error(transform.load, source)) for source in sources)
        return
    pool, waiting = ThreadPoolExecutor(_AHEAD), deque()
    try:
        for source in sources:
            waiting.append((source, pool.submit(load, source)))
            if len(waiting) > _AHEAD:
                source, future = waiting.popleft()
                yield source, future.result()
        while waiting:
            source, future = waiting.popleft()
            yield source, future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _or_error(load: Callable[[Any], Tensor], source: Any) -> Tensor | VidhubError | OSError:
    try:
        return load(source)
    except (VidhubError, OSError) as error:
        return error


@dataclass(frozen=True)
class _FromVideo:
    """A skeleton transform that takes videos too."""

    transform: SkeletonTransform
    poses: Any  # see `as_poses`

    def load(self, source: Any) -> Tensor:
        config = self.transform.config
        num_frames = config.num_frames * self.transform.num_clips
        return self.transform.load(as_poses(source, config.layout, num_frames, self.poses))


def open_reader(source: Any, transform: VideoTransform | AudioTransform) -> AbstractContextManager[Any]:
    """What the transform loads from: pictures, sound, or the optical flow between pictures. A given reader stays open.

    Raises:
        InputError: the reader is of something else.
    """
    wanted = {"audio": AudioReader, "flow": FlowReader, "video": VideoReader}[transform.modality]
    if isinstance(source, VideoReader) and wanted is FlowReader:
        return nullcontext(FlowReader(source, stack=transform.stack))
    if isinstance(source, (VideoReader, AudioReader, FlowReader)) and not isinstance(source, wanted):
        raise InputError(
            f"the network takes {transform.config.summary}: give a file, or another reader than "
            f"{type(source).__name__}."
        )
    if isinstance(source, wanted) or hasattr(source, "get_frames"):
        return nullcontext(source)
    return FlowReader(source, stack=transform.stack) if wanted is FlowReader else wanted(source)


def best_classes(source: Any, scores: Tensor, names: list[str], topk: int) -> Prediction:
    """The ``topk`` highest of the probabilities (num_classes,)."""
    best = scores.argsort(descending=True, stable=True)[:topk].tolist()
    return Prediction(source_name(source), [names[i] for i in best], scores[best].tolist(), best)


def source_name(source: Any) -> str:
    """Path or address of a video; of data in memory the type."""
    name = os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else getattr(source, "name", None)
    return name if isinstance(name, str) else type(source).__name__
