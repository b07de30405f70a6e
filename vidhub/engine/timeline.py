"""A picture of what happens when in a video."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .._files import write_whole
from ..errors import InputError
from .localization import SegmentPrediction

_LANE, _WIDTH, _MARGIN, _FONT_SIZE = 26, 1000, 12, 13  # pixels
_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d", "#eeca3b")
# where a label has characters that Pillow's own font lacks; what matplotlib finds comes after these
_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "msyh.ttc")
_logger = logging.getLogger(__name__)


def draw_timeline(prediction: SegmentPrediction, path: str | Path | None = None) -> Image.Image:
    """A row a class, in the order in which they first occur, with a bar a segment: the surer, the stronger its colour.

    Segments of a class that overlap lie in lanes, the surest in the first.

    Args:
        path: where to write the picture too, in the format of its ending.

    Raises:
        InputError: the ending is that of no picture.
    """
    if path is not None:
        check_picture(path)
    order = sorted(range(len(prediction.segments)), key=lambda i: prediction.segments[i])
    labels = list(dict.fromkeys(prediction.labels[i] for i in order))
    rows = {label: _lanes(prediction, [i for i in order if prediction.labels[i] == label]) for label in labels}
    fonts = {label: _font(label) for label in labels}
    left = 2 * _MARGIN + max((int(font.getlength(label)) for label, font in fonts.items()), default=0)
    height = _LANE * (sum(map(len, rows.values())) + 1) + 2 * _MARGIN
    picture = Image.new("RGB", (left + _WIDTH + 3 * _MARGIN, height), "white")
    draw = ImageDraw.Draw(picture)
    scale, best = _WIDTH / max(prediction.duration, 1e-9), max(prediction.scores, default=0.0) or 1.0
    top = _MARGIN
    for row, (label, lanes) in enumerate(rows.items()):
        draw.text((_MARGIN, top + _LANE // 4), label, "black", fonts[label])
        colour = Image.new("RGB", (1, 1), _COLOURS[row % len(_COLOURS)]).getpixel((0, 0))
        for lane in lanes:
            for i in lane:
                start, end = (left + second * scale for second in prediction.segments[i])
                share = 0.25 + 0.75 * prediction.scores[i] / best
                shade = tuple(round(255 - (255 - c) * share) for c in colour)
                draw.rectangle((start, top + 4, max(end, start + 1), top + _LANE - 4), shade, "white")
            top += _LANE
        draw.line((left, top, left + _WIDTH, top), "#dddddd")
    for tick in range(11):
        x = left + tick * _WIDTH / 10
        draw.line((x, top, x, top + 4), "black")
        time = _clock(prediction.duration * tick / 10, prediction.duration)
        draw.text((x, top + 6), time, "black", ImageFont.load_default(_FONT_SIZE), anchor="ma")
    if path is not None:
        file = io.BytesIO()
        picture.save(file, Image.registered_extensions()[Path(path).suffix.lower()])
        write_whole(path, file.getvalue())
    return picture


def check_picture(path: str | Path) -> None:
    """See that a file's ending is one of a picture.

    Raises:
        InputError: it is not.
    """
    if Image.registered_extensions().get(Path(path).suffix.lower()) not in Image.SAVE:
        raise InputError(f"a timeline is written as .png, .jpg, .webp or .pdf, not as {Path(path).name!r}.")


def _lanes(prediction: SegmentPrediction, indices: Sequence[int]) -> list[list[int]]:
    """Segments that do not overlap within a lane; the surest are laid first."""
    lanes: list[list[int]] = []
    for i in sorted(indices, key=lambda i: -prediction.scores[i]):
        start, end = prediction.segments[i]
        free = (
            lane for lane in lanes if all(end <= a or b <= start for a, b in (prediction.segments[j] for j in lane))
        )
        lane = next(free, None)
        if lane is None:
            lanes.append(lane := [])
        lane.append(i)
    return lanes


def _clock(seconds: float, duration: float) -> str:
    """As is usual for times in a video of this duration.

    >>> [_clock(3725.4, duration) for duration in (7200, 3000)], _clock(7.5, 15)
    (['1:02:05', '62:05'], '7.5 s')
    """
    if duration < 60:
        return f"{seconds:.4g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if duration >= 3600 else f"{minutes}:{rest:02}"


def _font(text: str) -> ImageFont.FreeTypeFont:
    """The first font on this machine that has all characters of ``text``, or most of them."""
    characters, best, fewest = {c for c in text if not c.isspace()}, None, len(text) + 1
    for font in _fonts():
        blank = bytes(font.getmask("\U0010ffff"))  # a character that no font has
        missing = sum(bytes(font.getmask(c)) == blank for c in characters)
        if missing < fewest:
            best, fewest = font, missing
        if not missing:
            return font
    _logger.warning("no font on this machine has all characters of %r: some are drawn as boxes.", text)
    return best


def _fonts() -> Iterator[ImageFont.FreeTypeFont]:
    yield ImageFont.load_default(_FONT_SIZE)
    for name in (*_FONTS, *_installed_fonts()):
        try:
            yield ImageFont.truetype(name, _FONT_SIZE)
        except OSError:
            continue


def _installed_fonts() -> list[str]:
    try:
        from matplotlib.font_manager import fontManager
    except ImportError:
        return []
    return [entry.fname for entry in fontManager.ttflist if "LastResort" not in entry.fname]  # boxes alone
