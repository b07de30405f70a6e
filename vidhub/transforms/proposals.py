"""Which frames SSN looks at: of a whole video in evaluation, of a proposal and its surroundings in training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class ProposalTicks(NamedTuple):
    """A video cut into ticks, and where proposals lie in it."""

    frames: np.ndarray  # int64 (ticks, frames of a clip)
    ticks: np.ndarray  # int64 (P, 4): where what is before, the proposal itself and what is after begin, and the end
    scale_factors: np.ndarray  # (P, 2): share of the wanted surroundings before and after that is in the video


class ProposalStages(NamedTuple):
    """The snippets of a proposal: before it, of it, after it."""

    frames: np.ndarray  # int64 (snippets, frames of a clip)
    scale_factors: np.ndarray  # (2,)


def tick_proposals(
    fractions: np.ndarray,
    num_frames: int,
    *,
    interval: int = 6,
    margin: tuple[float, float] = (0.5, 0.5),
    clip_len: int = 1,
    stride: int = 1,
) -> ProposalTicks:
    """A tick every ``interval`` frames, and the (P, 2) proposals, fractions of the video, in ticks.

    Args:
        margin: how many of its lengths are looked at before and after a proposal.
    """
    first = np.arange(0, max(num_frames - clip_len * stride, 1), interval)
    frames = first[:, None] + np.arange(clip_len) * stride
    start, end = np.asarray(fractions, np.float64).T
    before, after = (end - start) * margin[0], (end - start) * margin[1]
    left, right = np.maximum(start - before, 0), np.minimum(end + after, 1)
    ticks = (np.stack((left, start, end, right), 1) * len(first)).astype(np.int64)
    used, wanted = np.stack((start - left, right - end), 1), np.stack((before, after), 1)
    return ProposalTicks(frames, ticks, np.divide(used, wanted, out=np.zeros_like(used), where=wanted > 0))


def stage_proposal(
    start: int,
    end: int,
    num_frames: int,
    *,
    segments: tuple[int, int, int] = (2, 5, 2),
    margin: tuple[float, float] = (0.5, 0.5),
    clip_len: int = 1,
    stride: int = 1,
    generator: np.random.Generator | None = None,
) -> ProposalStages:
    """The middles of ``segments`` equal parts of each stage of a proposal from frame ``start`` to before ``end``.

    A stage too short to be divided gives its first frame for every part; what is after a proposal that lasts to the end
    of the video is then, as published, its beginning.

    Args:
        generator: draws a place in each part instead, as training does.
    """
    span, length = clip_len * stride, end - start
    left = max(0, start - int(length * margin[0]))
    right = min(num_frames - span + 1, end - 1 + int(length * margin[1]))
    lengths = (start - left - span, length - span, right - end + 1 - span)
    wanted = (length * margin[0], length * margin[1])
    scale = [(used + span + 1) / wish for used, wish in zip((lengths[0], lengths[2]), wanted, strict=True)]
    places = []
    for first, size, parts in zip((left, start, end), lengths, segments, strict=True):
        places.append(first + _offsets(size, parts, generator))
    frames = np.concatenate(places)[:, None] + np.arange(clip_len) * stride
    return ProposalStages(frames % num_frames, np.array(scale))


def _offsets(size: int, parts: int, generator: np.random.Generator | None) -> np.ndarray:
    """A place in each of the ``parts`` of a stage where clips can begin at ``size`` frames: int64 (parts,)."""
    if generator is None:
        return ((np.arange(parts) + 0.5) * max(size, 0) / parts).astype(np.int64) * (size >= parts)
    width = max((size + 1) // parts, 0)
    return np.arange(parts) * width + (generator.random(parts) * width).astype(np.int64)
