"""Videos with skeletons and class names drawn into them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..datasets.records import PoseRecord
from ..datasets.video_io import VideoReader
from ..errors import InputError
from ..transforms.skeleton import as_keypoints
from ..weights.skeletons import Layout, LayoutLike, find_layout
from .predict import Prediction

_COLORS = ("#ff5a36", "#2a9df4", "#35c66b", "#f2b81f", "#b46cf0", "#ff7fb0")  # of persons
_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi")
_SURE = 0.3  # joints of a lower score are not drawn


def draw_video(
    source: Any,
    target: str | Path,
    text: Sequence[str] = (),
    poses: PoseRecord | None = None,
    layout: Layout | None = None,
    overlay: Any = None,
) -> None:
    """Write ``source`` to ``target`` (.mp4) with lines of text, and skeletons where there are some.

    ``overlay.draw(pen, number, thick)`` may draw more on frame ``number``, with PIL's pen, lines ``thick`` pixels wide.
    Between the frames that ``poses`` knows (``extra["frames"]``), skeletons move evenly.

    Raises:
        InputError: the video cannot be written there.
    """
    check_target(target)
    part = Path(f"{target}.part{Path(target).suffix or '.mp4'}")
    try:
        with VideoReader(source) as reader, av.open(str(part), "w") as container:
            height, width = (side - side % 2 for side in reader.size)
            rate = Fraction(reader.fps).limit_denominator(1001) or 30  # 30000/1001 exactly
            stream = container.add_stream("libx264", rate=rate, options={"crf": "20"})
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            lines = _Lines(poses, layout) if poses is not None and layout is not None else None
            for number, frame in enumerate(reader):
                picture = Image.fromarray(frame[:, :height, :width].permute(1, 2, 0).numpy())
                pen = ImageDraw.Draw(picture)
                if lines:
                    lines.draw(pen, number, max(2, height // 160))
                if overlay:
                    overlay.draw(pen, number, max(2, height // 160))
                _write(pen, text, height)
                for packet in stream.encode(av.VideoFrame.from_image(picture)):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def check_target(target: str | Path) -> None:
    """Refuse a file that a video cannot be written to, before any work.

    Raises:
        InputError: its folder is not there, or its name is not one of a video.
    """
    target = Path(target)
    if target.suffix.lower() not in _SUFFIXES:
        raise InputError(f"a video is written to a file that ends in {', '.join(_SUFFIXES)}, not to {target.name!r}.")
    if not target.parent.is_dir():
        raise InputError(f"there is no folder {str(target.parent)!r} to write the video to: make it first.")


def draw_prediction(
    source: Any, target: str | Path, prediction: Prediction, poses: PoseRecord | None, layout: LayoutLike
) -> None:
    """:func:`draw_video` with the best three classes as text."""
    text = [f"{label} {score:.2f}" for label, score in zip(prediction.labels[:3], prediction.scores, strict=False)]
    draw_video(source, target, text, poses, find_layout(layout))


class _Lines:
    def __init__(self, poses: PoseRecord, layout: Layout):
        keypoints, scores = as_keypoints(poses.keypoints, poses.scores)
        if scores is None:
            scores = keypoints[..., 2] if keypoints.shape[-1] == 3 else np.ones(keypoints.shape[:3])
        self.keypoints, self.limbs = keypoints[..., :2], layout.shown_limbs
        self.scores = scores * (self.keypoints != 0).any(-1)
        self.frames = np.asarray(poses.extra.get("frames", np.arange(keypoints.shape[1])))

    def draw(self, pen: ImageDraw.ImageDraw, number: int, thick: int) -> None:
        after = int(self.frames.searchsorted(number))
        before, after = (min(max(i, 0), len(self.frames) - 1) for i in (after - 1, after))
        gap = self.frames[after] - self.frames[before]
        share = min(max((number - self.frames[before]) / gap, 0), 1) if gap else 0
        points = self.keypoints[:, before] * (1 - share) + self.keypoints[:, after] * share
        sure = np.minimum(self.scores[:, before], self.scores[:, after]) >= _SURE
        for person, (joints, there) in enumerate(zip(points, sure, strict=True)):
            color = _COLORS[person % len(_COLORS)]
            for a, b in self.limbs:
                if there[a] and there[b]:
                    pen.line([*joints[a], *joints[b]], fill=color, width=thick)
            for x, y in joints[there]:
                pen.ellipse([x - thick, y - thick, x + thick, y + thick], fill=color)


def _write(pen: ImageDraw.ImageDraw, text: Sequence[str], height: int) -> None:
    size = max(10, height // 24)
    font = ImageFont.load_default(size)
    for i, line in enumerate(text):
        place = (size // 2, size // 2 + i * round(1.3 * size))
        pen.text(place, line, font=font, fill="white", stroke_width=max(1, size // 10), stroke_fill="black")
