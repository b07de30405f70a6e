"""Features of whole videos by any recognition network, for localization networks to learn from."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from .._files import write_whole
from ..datasets.lists import VIDEO_SUFFIXES
from ..datasets.video_io import VideoReader
from ..errors import InputError, VidhubError
from ..models._factory import create_model
from ..transforms.factory import create_transform
from ..weights.types import DataConfig
from .predict import checked_dtype, pick_device

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
    batch_size: int = 8,
    dtype: torch.dtype | None = None,
) -> VideoFeatures:
    """Features of a video by a sliding window: the network's own clips, one around the middle of every step.

    Args:
        model: a recognition network on pixels; what it would classify are the features.
        every: frames of a step; the video is divided into as many equal steps as come nearest to that.
        batch_size: clips that go through the network at once.

    Raises:
        InputError: the network is none that looks at pixels.
        VideoError: the video cannot be read.
    """
    config = getattr(model, "data_config", None)
    if not isinstance(config, DataConfig) or len(config.mean) != 3:
        raise InputError(f"features are taken by recognition networks on RGB, and {type(model).__name__} is none.")
    reader = VideoReader(source) if isinstance(source, (str, Path)) else source
    transform = create_transform(config, views=1)
    device = next(model.parameters()).device
    try:
        num_frames, fps = reader.num_frames, reader.fps or 30.0
        clips = clip_frames(num_frames, every, config, fps)
        found = []
        for first in range(0, len(clips), batch_size):
            part = clips[first : first + batch_size]
            unique, places = np.unique(part, return_inverse=True)
            frames = reader.get_frames(unique.tolist())
            views = [transform(frames[torch.from_numpy(row)])[0] for row in places.reshape(part.shape)]
            with torch.autocast(device.type, dtype, enabled=dtype is not None):
                x = model.forward_features(torch.stack(views).to(device))
                found.append(model.forward_head(x, pre_logits=True).float().cpu().numpy())
    finally:
        if reader is not source:
            reader.close()
    return VideoFeatures(np.concatenate(found), num_frames / fps, num_frames)


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
    batch_size: int = 8,
    device: str | None = None,
    dtype: str | None = None,
    progress: bool | None = None,
) -> list[str]:
    """Write the features of many videos to ``out/NAME.npy`` (or ``.h5``), float (T, C).

    Started by ``torchrun``, every process takes its share of the videos. Videos whose file is there already are left
    out, so that an extraction that was killed goes on where it was.

    Args:
        model: of ``create_model``, or a name, whose published weights are then loaded.
        videos: a folder, looked through with those below it, or files.
        every: see :func:`extract_video`.

    Returns:
        One sentence for each video that could not be read.

    Raises:
        InputError: no videos, two of the same name, or ``out`` holds features that were made otherwise.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    files = _videos_of(videos)
    if format not in ("npy", "h5"):
        raise InputError(f"features are written as npy or h5, not {format!r}.")
    if format == "h5":
        _h5py()  # before hours of work
    if device is None and torch.cuda.is_available():
        device = f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"
    name = model if isinstance(model, str) else getattr(model, "arch", type(model).__name__)
    model = create_model(model, pretrained=True) if isinstance(model, str) else model
    model.eval().to(pick_device(device, model))
    out = Path(out)
    _keep_settings(out / _SETTINGS, {"model": name, "every": every})
    share = files[rank::world]
    show = rank == 0 and (sys.stderr.isatty() if progress is None else progress)
    failures = []
    for file in tqdm(share, unit="video", disable=not show):
        target = out / f"{file.stem}.{format}"
        if target.exists():
            continue
        try:
            features = extract_video(model, file, every=every, batch_size=batch_size, dtype=checked_dtype(dtype))
        except (VidhubError, OSError) as error:
            failures.append(f"{file}: {error}")
            continue
        write_whole(target, _as_file(features, format))
    return failures


def read_settings(folder: str | Path) -> dict[str, str | int]:
    """How the features in ``folder`` were made, {"model", "every"}; {} where nothing is known."""
    path = Path(folder) / _SETTINGS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _keep_settings(path: Path, settings: dict[str, str | int]) -> None:
    before = read_settings(path.parent)
    if before and before != settings:
        raise InputError(f"{str(path.parent)!r} holds features of {before}, not of {settings}: choose another folder.")
    write_whole(path, json.dumps(settings) + "\n")


def _videos_of(videos: str | Path | Iterable[str | Path]) -> list[Path]:
    if isinstance(videos, (str, Path)):
        root = Path(videos)
        if not root.exists():
            raise InputError(f"there is no file or folder {str(root)!r}.")
        found = [root] if root.is_file() else [p for p in root.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES]
    else:
        found = [Path(video) for video in videos]
    names: dict[str, Path] = {}
    for path in sorted(found):
        if other := names.get(path.stem):
            raise InputError(f"{str(other)!r} and {str(path)!r} would have features of the same name.")
        names[path.stem] = path
    if not names:
        raise InputError(f"there are no videos in {str(videos)!r}.")
    return list(names.values())


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
