"""Which frames of a video a network sees: index arithmetic only, no pixels.

Frames count from 0, durations are in seconds. Unless said otherwise a function returns int64 indices (clips, frames),
all in [0, num_frames). A video shorter than its clip is repeated from the start. Functions that are called ``random_*``
are for training and draw from ``generator``, or from torch's global one.

All raise :class:`~vidhub.errors.InputError` where a count is not positive.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from ..errors import InputError
from ._random import integers, uniform

OutOfBounds = Literal["loop", "repeat_last"]


def wrap_indices(indices: np.ndarray, num_frames: int, out_of_bounds: OutOfBounds = "loop") -> np.ndarray:
    """Bring indices (clips, frames) that lie beyond the video back into it.

    "loop" starts the video again; "repeat_last" repeats the largest valid index of the same clip (0 if it has none).

    >>> wrap_indices(np.array([[0, 2, 4, 6]]), 5)
    array([[0, 2, 4, 1]])
    >>> wrap_indices(np.array([[0, 2, 4, 6]]), 5, "repeat_last")
    array([[0, 2, 4, 4]])
    """
    if out_of_bounds == "loop":
        return indices % num_frames
    if out_of_bounds == "repeat_last":
        inside = indices < num_frames
        last = np.where(inside, indices, 0).max(axis=1, keepdims=True)
        return np.where(inside, indices, last)
    raise InputError(f"out_of_bounds must be 'loop' or 'repeat_last', not {out_of_bounds!r}.")


def segment_frames(num_frames: int, num_segments: int, num_clips: int = 1) -> np.ndarray:
    """One frame out of each of ``num_segments`` equal parts of the video: (num_clips, num_segments).

    The first clip takes the middle of every part. Further clips are moved by equal fractions of a part, so the second
    of two takes the beginnings.

    >>> segment_frames(30, 3)
    array([[ 5, 15, 25]])
    >>> segment_frames(30, 3, num_clips=2)
    array([[ 5, 15, 25],
           [ 0, 10, 20]])
    """
    _positive(num_frames=num_frames, num_segments=num_segments, num_clips=num_clips)
    length = num_frames / num_segments
    shift = (0.5 - np.arange(num_clips) / num_clips) % 1
    return (np.arange(num_segments) * length + shift[:, None] * length).astype(np.int64)


def uniform_clips(
    num_frames: int,
    clip_len: int,
    stride: int = 1,
    num_clips: int = 1,
    *,
    fps: float | None = None,
    target_fps: float | None = None,
    twice: bool = False,
    out_of_bounds: OutOfBounds = "loop",
) -> np.ndarray:
    """Clips spread evenly from the first frame to the last, for testing: (num_clips, clip_len).

    One clip lies in the middle; clips of a single frame are :func:`segment_frames`. With ``target_fps``, clips last
    ``clip_len * stride / target_fps`` seconds whatever the video's rate ``fps`` (None: taken to be ``target_fps``).

    Args:
        twice: 2 * num_clips clips; the second half goes on at the same distance and so starts again at the front.

    >>> uniform_clips(100, 4, stride=8)
    array([[37, 45, 53, 61]])
    >>> uniform_clips(100, 4, stride=8, num_clips=3)
    array([[ 0,  8, 16, 24],
           [38, 46, 54, 62],
           [75, 83, 91, 99]])
    >>> uniform_clips(100, 4, stride=8, fps=15, target_fps=30)  # half as many frames a second
    array([[42, 47, 52, 57]])
    """
    _positive(num_frames=num_frames, clip_len=clip_len, stride=stride, num_clips=num_clips)
    span, steps = _span_and_steps(clip_len, stride, fps, target_fps)
    room = max(num_frames - span, 0)
    if clip_len == 1:
        starts = segment_frames(num_frames, num_clips, 2 if twice else 1).ravel()
    elif num_clips == 1:
        if twice:
            raise InputError("twice needs at least 2 clips, since one clip has no distance to the next.")
        starts = np.array([room // 2])
    elif target_fps is not None:  # whole distances, as in the published tests at a given rate
        starts = np.arange(num_clips * (1 + twice)) * (room // (num_clips - 1))
    else:
        starts = np.round(np.arange(num_clips * (1 + twice)) * (room / (num_clips - 1)))
    return wrap_indices(starts.astype(np.int64)[:, None] + steps, num_frames, out_of_bounds)


def random_clips(
    num_frames: int,
    clip_len: int,
    stride: int = 1,
    num_clips: int = 1,
    *,
    fps: float | None = None,
    target_fps: float | None = None,
    keep_tail: bool = True,
    padded_span: bool = False,
    out_of_bounds: OutOfBounds = "loop",
    generator: torch.Generator | None = None,
) -> np.ndarray:
    """One clip at a random place in each of ``num_clips`` equal parts of the video: (num_clips, clip_len), sorted.

    All starts that keep a clip inside the video are equally likely.

    Args:
        keep_tail: False gives every part a whole number of starts and never draws the starts left over at the end
            (MMAction2's default).
        padded_span: reserve ``clip_len * stride`` frames for a clip instead of the ``(clip_len - 1) * stride + 1`` it
            reaches, which leaves out the last ``stride - 1`` starts (MMAction2).

    >>> random_clips(7, 4, stride=2)  # no other start fits
    array([[0, 2, 4, 6]])
    """
    _positive(num_frames=num_frames, clip_len=clip_len, stride=stride, num_clips=num_clips)
    span, steps = _span_and_steps(clip_len, stride, fps, target_fps)
    if padded_span and target_fps is None:
        span = clip_len * stride
    num_starts = int(num_frames - span + 1)
    each = num_starts // num_clips
    if keep_tail:
        num_starts = max(num_starts, 1)
        parts = np.arange(num_clips) + uniform(num_clips, generator)
        starts = np.minimum((parts * num_starts / num_clips).astype(np.int64), num_starts - 1)
    elif each > 0:
        starts = np.arange(num_clips) * each + integers(num_clips, 0, each - 1, generator)
    elif num_frames > max(num_clips, span):
        starts = np.sort(integers(num_clips, 0, num_starts - 1, generator))
    else:
        starts = np.round(np.arange(num_clips) * (max(num_starts, 0) / num_clips)).astype(np.int64)
    return wrap_indices(starts[:, None] + steps, num_frames, out_of_bounds)


def dense_clips(
    num_frames: int,
    clip_len: int,
    stride: int = 1,
    num_clips: int = 8,
    *,
    window: int = 64,
    num_positions: int = 10,
    out_of_bounds: OutOfBounds = "loop",
) -> np.ndarray:
    """``num_clips`` clips inside each of ``num_positions`` windows of the video, for testing.

    Shape (num_positions * num_clips, clip_len), position after position. Windows are spread evenly from the first frame
    to the last, the only one of one position lies at the front. 64 and 10 are those of the published TSM tests.

    >>> dense_clips(104, 1, num_clips=4, num_positions=3).reshape(3, 4)
    array([[ 0, 16, 32, 48],
           [20, 36, 52, 68],
           [40, 56, 72, 88]])
    """
    _positive(num_frames=num_frames, clip_len=clip_len, stride=stride, num_clips=num_clips, window=window)
    _positive(num_positions=num_positions)
    starts = np.linspace(0, max(num_frames - window, 0), num_positions).astype(np.int64)
    return _dense(starts, num_frames, clip_len, stride, num_clips, window, out_of_bounds)


def random_dense_clips(
    num_frames: int,
    clip_len: int,
    stride: int = 1,
    num_clips: int = 8,
    *,
    window: int = 64,
    skip_last: bool = False,
    out_of_bounds: OutOfBounds = "loop",
    generator: torch.Generator | None = None,
) -> np.ndarray:
    """``num_clips`` clips inside one window at a random place: (num_clips, clip_len).

    Args:
        skip_last: never draw the last place (MMAction2).

    >>> random_dense_clips(64, 1, num_clips=4).ravel()
    array([ 0, 16, 32, 48])
    """
    _positive(num_frames=num_frames, clip_len=clip_len, stride=stride, num_clips=num_clips, window=window)
    last = max(num_frames - window - skip_last, 0)
    return _dense(integers(1, 0, last, generator), num_frames, clip_len, stride, num_clips, window, out_of_bounds)


def uniform_frames(num_frames: int, clip_len: int, num_clips: int = 1) -> np.ndarray:
    """One frame out of each of ``clip_len`` parts of the whole video, for testing: (num_clips, clip_len).

    Clip k of K takes the frame at (k + 1) / (K + 1) of every part. Sparse sampling of UniFormerV2 and others: parts are
    ``(num_frames - 1) / clip_len`` frames long.

    >>> uniform_frames(41, 4)
    array([[ 5, 15, 25, 35]])
    >>> uniform_frames(41, 4, num_clips=3)
    array([[ 2, 12, 22, 32],
           [ 5, 15, 25, 35],
           [ 7, 17, 27, 37]])
    """
    _positive(num_frames=num_frames, clip_len=clip_len, num_clips=num_clips)
    length = (num_frames - 1) / clip_len
    shift = (length / (num_clips + 1) * np.arange(1, num_clips + 1)).astype(np.int64)
    return np.round(length * np.arange(clip_len)).astype(np.int64) + shift[:, None]


def random_uniform_frames(num_frames: int, clip_len: int, *, generator: torch.Generator | None = None) -> np.ndarray:
    """A random frame out of each part of :func:`uniform_frames`, both ends of a part included: (1, clip_len), sorted.

    >>> random_uniform_frames(1, 4)
    array([[0, 0, 0, 0]])
    """
    _positive(num_frames=num_frames, clip_len=clip_len)
    edges = np.round((num_frames - 1) / clip_len * np.arange(clip_len + 1)).astype(np.int64)
    width = edges[1:] - edges[:-1] + 1
    return (edges[:-1] + (uniform(clip_len, generator) * width).astype(np.int64))[None]


def linspace_frames(num_frames: int, clip_len: int) -> np.ndarray:
    """``clip_len`` frames at equal distances, the first and last included: (1, clip_len).

    >>> linspace_frames(10, 4)
    array([[0, 3, 6, 9]])
    """
    _positive(num_frames=num_frames, clip_len=clip_len)
    # float32, because the published networks were tested on the frames that its rounding gives
    return torch.linspace(0, num_frames - 1, clip_len).long().numpy()[None]


def stratified_frames(num_frames: int, clip_len: int, num_clips: int = 1, *, seed: int = 255) -> np.ndarray:
    """A random frame out of each of ``clip_len`` equal parts, the same at every call: (num_clips, clip_len).

    The test sampling of skeleton networks (PoseC3D), whose published seed is 255. A video of fewer than ``clip_len``
    frames is repeated, with starts spread over it; one of fewer than ``2 * clip_len`` leaves out random frames.

    >>> stratified_frames(4, 4)
    array([[0, 1, 2, 3]])
    >>> stratified_frames(2, 4, num_clips=2)
    array([[0, 1, 0, 1],
           [1, 0, 1, 0]])
    """
    _positive(num_frames=num_frames, clip_len=clip_len, num_clips=num_clips)
    draws = np.random.RandomState(seed)
    starts = np.arange(num_clips) if num_frames < num_clips else np.arange(num_clips) * num_frames // num_clips
    return np.stack([_stratified(num_frames, clip_len, start, draws) for start in starts])


def random_stratified_frames(
    num_frames: int, clip_len: int, num_clips: int = 1, *, generator: torch.Generator | None = None
) -> np.ndarray:
    """:func:`stratified_frames` for training: new draws at every call, and a short video starts anywhere.

    >>> random_stratified_frames(4, 4)
    array([[0, 1, 2, 3]])
    """
    _positive(num_frames=num_frames, clip_len=clip_len, num_clips=num_clips)
    draws = np.random.RandomState(integers(1, 0, 2**32 - 1, generator)[0])
    return np.stack([_stratified(num_frames, clip_len, draws.randint(num_frames), draws) for _ in range(num_clips)])


def clips_around(
    centres: float | np.ndarray,
    clip_len: int,
    stride: int = 1,
    *,
    first: int = 0,
    stop: int,
    jitter: bool = False,
    generator: torch.Generator | None = None,
) -> np.ndarray:
    """A clip around every given frame, clamped to [first, stop - 1]: (clips, clip_len).

    The centre is frame ``clip_len // 2`` of its clip. For clips around the key frames of spatio-temporal detection, and
    for regular centres over an untrimmed video: ``np.arange(interval // 2, num_frames, interval)``.

    Args:
        centres: frames; a fraction is cut off.
        jitter: for training, moves every frame on its own by up to half a stride.

    Raises:
        InputError: no centre, as where an untrimmed video is shorter than half an interval.

    >>> clips_around([8, 24], 4, stride=4, stop=30)
    array([[ 0,  4,  8, 12],
           [16, 20, 24, 28]])
    >>> clips_around(30 * (903 - 900), 4, stride=16, first=10, stop=100)  # 3 s into a video of 30 frames a second
    array([[58, 74, 90, 99]])
    """
    _positive(clip_len=clip_len, stride=stride, frames=stop - first)
    centres = np.atleast_1d(np.asarray(centres, dtype=np.float64))
    if centres.size == 0:
        raise InputError("there is no frame to take a clip around; the video is shorter than half an interval.")
    indices = centres[:, None] + (np.arange(clip_len) - clip_len // 2) * stride
    if jitter:
        shifts = integers(indices.size, -((stride + 1) // 2), (stride + 1) // 2 - 1, generator)
        indices = indices + shifts.reshape(indices.shape)
    return np.clip(indices, first, stop - 1).astype(np.int64)


def strided_clip_times(duration: float, clip_duration: float, stride: float | None = None) -> np.ndarray:
    """Clips one after the other as long as they fit, at least one: seconds (clips, 2), each [start, end].

    ``stride`` is the time from start to start, None for ``clip_duration``. The one clip of a short video ends after it.

    >>> strided_clip_times(5.0, 2.0)
    array([[0., 2.],
           [2., 4.]])
    """
    stride = clip_duration if stride is None else stride
    _positive(duration=duration, clip_duration=clip_duration, stride=stride)
    tolerance = 1e-6  # seconds: a multiple of 0.1 is not exact
    count = 1 + max(0, int((duration - clip_duration + tolerance) // stride))
    starts = np.arange(count) * stride
    return np.stack([starts, starts + clip_duration], axis=1)


def even_clip_times(duration: float, clip_duration: float, num_clips: int, *, reach_end: bool = True) -> np.ndarray:
    """``num_clips`` clips at equal distances: seconds (num_clips, 2), each [start, end].

    Args:
        reach_end: False stops one distance before the end of the video (PyTorchVideo).

    >>> even_clip_times(10.0, 2.0, 3)
    array([[ 0.,  2.],
           [ 4.,  6.],
           [ 8., 10.]])
    """
    _positive(duration=duration, clip_duration=clip_duration, num_clips=num_clips)
    distance = max(duration - clip_duration, 0.0) / max(num_clips - 1 if reach_end else num_clips, 1)
    starts = np.arange(num_clips) * distance
    return np.stack([starts, starts + clip_duration], axis=1)


def audio_rows(indices: np.ndarray, num_frames: int, length: int) -> np.ndarray:
    """The rows of a spectrogram or waveform that go with clips of frames: int64 (clips, 2), each [first, stop).

    They last from the end of a clip's first frame to the end of its last one.

    Args:
        indices: frames (clips, frames) of a video of ``num_frames`` frames; only the first and last of a clip count, so
            a clip that wraps around the end may have no rows (stop <= first).
        length: rows of the whole video.

    >>> audio_rows(np.array([[9, 10, 11, 19]]), 100, 640)
    array([[ 64, 128]])
    """
    _positive(num_frames=num_frames, length=length)
    rows = np.round((indices[:, [0, -1]] + 1) / num_frames * length).astype(np.int64)
    return np.clip(rows, 0, length)


def select_audio(features: torch.Tensor, rows: np.ndarray, num_rows: int) -> torch.Tensor:
    """Cut ``rows`` (clips, 2) of :func:`audio_rows` out of features (length, ...): (clips, num_rows, ...).

    Longer clips lose their end, shorter ones are filled up with zeros.

    >>> select_audio(torch.arange(6), np.array([[1, 3], [2, 6]]), 3)
    tensor([[1, 2, 0],
            [2, 3, 4]])
    """
    _positive(num_rows=num_rows)
    clips = features.new_zeros(len(rows), num_rows, *features.shape[1:])
    for clip, (first, stop) in zip(clips, rows.tolist(), strict=True):
        part = features[first : max(first, min(stop, first + num_rows))]
        clip[: len(part)] = part
    return clips


def _span_and_steps(clip_len: int, stride: int, fps: float | None, target_fps: float | None):
    """(frames from the first to the last of a clip, both included; the offset of each frame from the first)."""
    if target_fps is None:
        return (clip_len - 1) * stride + 1, np.arange(clip_len) * stride
    _positive(target_fps=target_fps, **({} if fps is None else {"fps": fps}))
    ratio = 1.0 if fps is None else fps / target_fps
    # clip_len * stride and not (clip_len - 1) * stride + 1: the networks with a rate were tested so (PySlowFast)
    span = max(1.0, clip_len * stride * ratio)
    return span, np.linspace(0, span - 1, clip_len).astype(np.int64)


def _dense(starts, num_frames, clip_len, stride, num_clips, window, out_of_bounds) -> np.ndarray:
    starts = (starts[:, None] + np.arange(num_clips) * (window // num_clips)) % num_frames
    return wrap_indices(starts.reshape(-1, 1) + np.arange(clip_len) * stride, num_frames, out_of_bounds)


def _stratified(num_frames: int, clip_len: int, start: int, draws: np.random.RandomState) -> np.ndarray:
    frames = np.arange(clip_len)
    if num_frames < clip_len:
        frames = start + frames
    elif num_frames < 2 * clip_len:
        left_out = draws.choice(clip_len + 1, num_frames - clip_len, replace=False)
        frames = frames + (left_out[:, None] <= frames).sum(axis=0)
    else:
        edges = np.arange(clip_len + 1) * num_frames // clip_len
        frames = edges[:-1] + draws.randint(np.diff(edges))
    return (frames % num_frames).astype(np.int64)


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise InputError(f"{name} must be positive, not {value!r}.")
