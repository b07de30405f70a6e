"""A picture of what happens when in a video."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .._files import write_whole
from .localization import SegmentPrediction

_ROW, _WIDTH, _MARGIN = 26, 1000, 12  # pixels
_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d", "#eeca3b")


def draw_timeline(prediction: SegmentPrediction, path: str | Path | None = None) -> Image.Image:
    """A row a class, in the order in which they first occur, with a bar a segment: the surer, the stronger its colour.

    Args:
        path: where to write the picture too, in the format of its ending.
    """
    font = ImageFont.load_default()
    order = sorted(range(len(prediction.segments)), key=lambda i: prediction.segments[i])
    labels = list(dict.fromkeys(prediction.labels[i] for i in order))
    left = 2 * _MARGIN + max((int(font.getlength(label)) for label in labels), default=0)
    height = _ROW * (len(labels) + 1) + 2 * _MARGIN
    picture = Image.new("RGB", (left + _WIDTH + 2 * _MARGIN, height), "white")
    draw = ImageDraw.Draw(picture)
    scale, best = _WIDTH / max(prediction.duration, 1e-9), max(prediction.scores, default=1.0)
    for row, label in enumerate(labels):
        top = _MARGIN + row * _ROW
        draw.text((_MARGIN, top + _ROW // 4), label, "black", font)
        draw.line((left, top + _ROW, left + _WIDTH, top + _ROW), "#dddddd")
        colour = Image.new("RGB", (1, 1), _COLOURS[row % len(_COLOURS)]).getpixel((0, 0))
        for i in sorted(order, key=lambda i: prediction.scores[i]):  # the best is drawn over the others
            if prediction.labels[i] == label:
                start, end = (left + second * scale for second in prediction.segments[i])
                share = 0.25 + 0.75 * prediction.scores[i] / best
                shade = tuple(round(255 - (255 - c) * share) for c in colour)
                draw.rectangle((start, top + 4, max(end, start + 1), top + _ROW - 4), shade)
    bottom = _MARGIN + len(labels) * _ROW
    for tick in range(11):
        x = left + tick * _WIDTH / 10
        draw.line((x, bottom, x, bottom + 4), "black")
        draw.text((x, bottom + 6), f"{prediction.duration * tick / 10:.4g} s", "black", font, anchor="ma")
    if path is not None:
        file = io.BytesIO()
        picture.save(file, Image.registered_extensions().get(Path(path).suffix.lower(), "PNG"))
        write_whole(path, file.getvalue())
    return picture
