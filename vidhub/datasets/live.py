"""Frames as they come: of a camera, a network stream, a pipe, or a file that is not worth indexing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import torch
from av.video.reformatter import VideoReformatter

from ..errors import InputError, VideoError
from .decoding import Turn, binary, decode, file_address, open_container, packets_of, to_rgb, video_stream

# where FFmpeg finds camera number N, and by which of its devices
_CAMERAS = {"linux": ("/dev/video{}", "v4l2"), "darwin": ("{}", "avfoundation")}


def live_frames(source: Any, fps: float | None = None) -> Iterator[tuple[float, torch.Tensor]]:
    """Each frame as soon as it is there: (seconds since the first, RGB uint8 (3, H, W)), upright.

    Where the time stamps jump back, as in joined files, time goes on by one frame.

    Args:
        source: number of a camera (0 is the first), also as text; on Windows ``"video=NAME"``. Path or address of a
            video or stream; binary file, which need not seek.
        fps: take no more frames a second than this, evenly; None: every frame.

    Raises:
        FileNotFoundError, VideoError: it is not there, cannot be read, or gives no frame.
        InputError: ``source`` is of another kind or gives text, ``fps`` is not positive, or the system's cameras have
            no numbers.
    """
    if fps is not None and not fps > 0:
        raise InputError(f"the frames a second of a stream must be positive, not {fps!r}.")
    media, name, format = _where(source)
    container = open_container(media, name, format)
    try:
        stream, turn, start, due = video_stream(container, name), None, None, 0.0
        # frame threads hold back frames, which is no loss only where all of them are there already
        stored = isinstance(media, str) and os.path.isfile(media.removeprefix("file:"))
        stream.codec_context.thread_type = "AUTO" if stored else "SLICE"
        reformatter = VideoReformatter()
        rate = float(stream.average_rate or 30)
        seconds = -1 / rate
        for frame in decode(stream, packets_of(container, stream)):
            if turn is None:
                turn = Turn.of(frame)
            following = seconds + 1 / rate
            if frame.pts is None:
                seconds = following
            else:
                stamp = float(frame.pts * stream.time_base)
                if start is None or stamp - start < seconds:
                    start = stamp - following
                seconds = stamp - start
            if fps is not None:
                if seconds + 0.5 / rate < due:
                    continue
                due = (due if seconds - due < 1 / fps else seconds) + 1 / fps  # after a gap counted from here
            picture = turn.upright(to_rgb(reformatter, frame, (frame.height, frame.width))).copy()
            yield seconds, torch.from_numpy(picture).permute(2, 0, 1)
        if turn is None:
            raise VideoError(f"no frame of {name} can be decoded; the stream is damaged or empty.")
    finally:
        container.close()


def _where(source: Any) -> tuple[str | BinaryIO, str, str | None]:
    """What FFmpeg opens, what errors call it, and the device that it needs."""
    if hasattr(source, "read"):
        return binary(source), "the given file object", None
    if not isinstance(source, (int, str, os.PathLike)) or isinstance(source, bool):
        kind = type(source).__name__
        raise InputError(f"a stream must be the number of a camera, a path, an address or a binary file, not {kind}.")
    path = str(source)
    if path.isdecimal() and not os.path.exists(path):
        if sys.platform not in _CAMERAS:
            raise InputError(f'cameras have no numbers here: instead of {path} give "video=NAME" with its name.')
        path, format = _CAMERAS[sys.platform][0].format(path), _CAMERAS[sys.platform][1]
        return path, f"camera {source}", format
    if path.startswith("/dev/video"):
        return path, repr(path), "v4l2"
    if path.startswith("video="):
        return path, repr(path), "dshow"
    if "://" in path:
        return path, repr(path), None
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no video at {path!r}; check the path.")
    return file_address(path), repr(path), None
