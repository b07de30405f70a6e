"""Features of whole videos by any recognition network, for localization networks to learn from."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from .._files import write_whole
from ..datasets.annotation_files import read_json
from ..datasets.lists import VIDEO_SUFFIXES
from ..datasets.video_io import IMAGE_SUFFIXES, VideoReader
from ..errors import InputError, VideoError, VidhubError, in_one_line
from ..models._factory import create_model
from ..models._hub import absolute_name
from ..models.ssn import SSN
from ..transforms.factory import create_transform
from ..weights.files import weights_digest
from ..weights.types import DataConfig
from .predict import check_counts, checked_batch_size, checked_dtype, open_reader, pick_device
from .processes import wait_for_all
from .scoring import evaluation_mode, mixed_precision

_SETTINGS = "extract.json"  # in the folder of the features: how they were made


@dataclass(frozen=True)
class VideoFeatures:
    """Features of one video, which cover all of it."""

    values: np.ndarray  # float32 (T, C)
    duration: float  # seconds
    num_frames: int


@torch.inference_mode()
def extract_video(
    model: nn.Module,
    source: str | Path | VideoReader,
    *,
    every: int = 16,
    batch_size: int | None = None,
    dtype: torch.dtype | None = None,
) -> VideoFeatures:
    """Features of a video by a sliding window: the network's own clips, one around the middle of every step.

    Args:
        model: a recognition network on pictures or optical flow; what it would classify are the features.
        source: a video, a folder of frame images or, for networks on optical flow, of flow pictures; or a reader.
        every: frames of a step; the video is divided into as many equal steps as come nearest to that.
        batch_size: clips that go through the network at once; None: 8, or 1 on a CPU, where that is fastest.

    Raises:
        InputError: the network is none that looks at pictures or flow, or a number is below 1.
        VideoError: the video cannot be read.
    """
    device, own = (weight := next(model.parameters())).device, weight.dtype
    batch_size = checked_batch_size(batch_size, device)
    check_counts(every=every)
    config = _clip_config(model)
    transform = create_transform(config, views=1)
    with open_reader(source, transform) as reader:
        listed = reader.num_frames
        # between stacks of flows lies one picture more than there are flows
        num_frames = listed + (transform.stack if transform.modality == "flow" else 0)
        fps = reader.fps or 30.0
        clips = clip_frames(num_frames, every, config, fps).clip(max=listed - 1)
        found = []
        try:
            for first in range(0, len(clips), batch_size):
                part = clips[first : first + batch_size]
                unique, places = np.unique(part, return_inverse=True)
                frames = reader.get_frames(unique.tolist())
                views = [transform(frames[torch.from_numpy(row)])[0] for row in places.reshape(part.shape)]
                with evaluation_mode(model), mixed_precision(model, dtype):
                    x = model.forward_features(torch.stack(views).to(device, own))
                    found.append(model.forward_head(x, pre_logits=True).float().cpu().numpy())
        except VidhubError as error:
            if reader.num_frames == listed:
                raise
            raise VideoError(
                f"{str(source)!r} is damaged: only {reader.num_frames} of its {listed} frames can be decoded; repair "
                "it or leave it out."
            ) from error
        return VideoFeatures(np.concatenate(found), num_frames / fps, num_frames)


def _clip_config(model: nn.Module) -> DataConfig:
    config = getattr(model, "data_config", None)
    if not isinstance(config, DataConfig) or isinstance(model, SSN):
        raise InputError(
            f"features are taken by recognition networks on pictures or flow, and {type(model).__name__} is none."
        )
    return config


def clip_frames(num_frames: int, every: int, config: DataConfig, fps: float) -> np.ndarray:
    """The frames of each step's clip, int64 (T, frames of a clip); the first and the last frame are repeated.

    >>> clip_frames(8, 4, DataConfig(num_frames=3, stride=2), 30.0).tolist()
    [[0, 2, 4], [4, 6, 7]]
    """
    steps = max(1, round(num_frames / every))
    middle = (np.arange(steps) + 0.5) * num_frames / steps
    stride = config.stride * (fps / config.target_fps if config.target_fps else 1.0)
    if config.sampling != "clips":  # networks that divide a video into parts: here a step
        stride = num_frames / steps / config.num_frames
    offsets = (np.arange(config.num_frames) - (config.num_frames - 1) / 2) * stride
    return np.floor(middle[:, None] + offsets).clip(0, num_frames - 1).astype(np.int64)


def extract(
    model: nn.Module | str,
    videos: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    every: int = 16,
    format: Literal["npy", "h5"] = "npy",
    batch_size: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    progress: bool | None = None,
) -> list[str]:
    """Write the features of many videos to ``out/NAME.npy`` (or ``.h5``), float (T, C).

    Started by ``torchrun``, every process takes its share of the videos, and all end together. Videos whose file is
    there already are left out, so that an extraction that was killed goes on where it was.

    Args:
        model: of ``create_model``, or a name, whose published weights are then loaded.
        videos: files and folders; folders are looked through with those below them, for videos, or where there are
            none for folders of pictures.
        every: see :func:`extract_video`.

    Returns:
        One sentence for each video that could not be read, by any of the processes.

    Raises:
        InputError: no videos, two of the same name, a number below 1, or ``out`` holds features made otherwise.
    """
    check_counts(every=every)
    precision = checked_dtype(dtype)
    reduced = None if precision == torch.float32 else precision
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    files = _videos_of(videos)
    if format not in ("npy", "h5"):
        raise InputError(f"features are written as npy or h5, not {format!r}.")
    if format == "h5":
        _h5py()  # before hours of work
    if device is None and torch.cuda.is_available():
        device = f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"
    device = pick_device(device, model)
    batch_size = checked_batch_size(batch_size, device)
    name = network_name(model)
    model = create_model(model, pretrained=True) if isinstance(model, str) else model
    model.eval().to(device)
    out = Path(out)
    settings = {
        "model": name,
        "every": every,
        "weights": weights_digest(model.state_dict()),
        "dtype": str(reduced or next(model.parameters()).dtype).removeprefix("torch."),
        "data_config": asdict(_clip_config(model)),
    }
    keep_settings(out / _SETTINGS, settings)
    share = files[rank::world]
    show = rank == 0 and (sys.stderr.isatty() if progress is None else progress)
    failures = []
    for file in tqdm(share, unit="video", disable=not show):
        target = out / f"{_feature_name(file)}.{format}"
        if target.exists():
            continue
        try:
            features = extract_video(model, file, every=every, batch_size=batch_size, dtype=reduced)
        except (VidhubError, OSError) as error:
            text = in_one_line(error)
            failures.append(text if str(file) in text else f"{file}: {text}")
            continue
        write_whole(target, _as_file(features, format))
    return wait_for_all(failures)


def network_name(model: nn.Module | str) -> str:
    """Of its weights where it has published ones; of folders the whole path."""
    if isinstance(model, str):
        return absolute_name(model)
    weights = getattr(model, "weights", None)
    return weights.name if weights else getattr(model, "arch", type(model).__name__)


def read_settings(folder: str | Path) -> dict[str, Any]:
    """How the features in ``folder`` were made: {"model", "every", ...}; {} where nothing is known."""
    path = Path(folder) / _SETTINGS
    return read_json(path) if path.exists() else {}


def keep_settings(path: Path, settings: dict[str, Any]) -> None:
    """Write beside features how they are made.

    Raises:
        InputError: those that are there already were made otherwise.
    """
    settings = json.loads(json.dumps(settings))  # as they will be read, without tuples
    before = read_json(path) if path.exists() else {}
    changed = [name for name in settings if before.get(name, settings[name]) != settings[name]]
    if changed:
        long = ("weights", "data_config")
        what = ", ".join(n if n in long else f"{n} {before[n]!r}, not {settings[n]!r}" for n in changed)
        raise InputError(f"{str(path.parent)!r} holds features made otherwise ({what}): choose another folder.")
    write_whole(path, json.dumps(settings) + "\n")


def _videos_of(videos: str | Path | Iterable[str | Path]) -> list[Path]:
    given = [Path(videos)] if isinstance(videos, (str, Path)) else [Path(video) for video in videos]
    if missing := [path for path in given if not path.exists()]:
        raise InputError(f"there is no file or folder {str(missing[0])!r}.")
    names: dict[str, Path] = {}
    for path in sorted(found for root in given for found in _videos_in(root)):
        if other := names.get(_feature_name(path)):
            raise InputError(f"{str(other)!r} and {str(path)!r} would have features of the same name.")
        names[_feature_name(path)] = path
    if not names:
        raise InputError(f"there are no videos in {', '.join(repr(str(path)) for path in given)}.")
    return list(names.values())


def _videos_in(root: Path) -> list[Path]:
    """The videos in a folder and below it, or where there are none the folders of pictures; a file is itself one."""
    if root.is_file():
        return [root]
    files = [path for path in root.rglob("*") if path.is_file()]
    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    return videos or list({path.parent for path in files if path.suffix.lower() in IMAGE_SUFFIXES})


def _feature_name(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem  # "." has no name before


def _as_file(features: VideoFeatures, format: str) -> bytes:
    file = io.BytesIO()
    if format == "npy":
        np.save(file, features.values)
        return file.getvalue()
    with _h5py().File(file, "w") as content:
        content["features"] = features.values
        content.attrs.update(duration=features.duration, num_frames=features.num_frames)
    return file.getvalue()


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError:
        raise InputError("writing h5 needs h5py: pip install h5py, or choose npy.") from None
    return h5py
