"""The report at the end of a run: curves, confusion matrix and worst clips in one HTML file, or as one picture."""

from __future__ import annotations

import base64
import html
import io
import math
import numbers
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._files import write_whole
from ..errors import VidhubError

_CELLS_WITH_NUMBERS, _AXES_WITH_NAMES = 20, 60  # classes up to which the matrix shows these
_PIXELS = 150  # of the matrix at most in each direction, so that the diagonal of 700 classes can be seen
_ROWS = 15  # of the tables of classes and confusions


class WorstClip(NamedTuple):
    """A clip that the network got wrong."""

    path: str
    label: str
    predicted: str
    score: float  # probability of the true class
    thumbnail: np.ndarray | None  # uint8 (H, W, 3)


def write_report(
    path: str | Path,
    *,
    title: str,
    history: Sequence[dict[str, Any]] = (),
    metrics: dict[str, float] | None = None,
    classes: Sequence[str] | None = None,
    confusion: np.ndarray | None = None,
    worst: Sequence[WorstClip] = (),
    summary: dict[str, Any] | None = None,
) -> None:
    """Write ``path``, whole or not at all: an HTML file that needs nothing else, or with the suffix .png a picture.

    Args:
        history: the rows of a log, each with "step"; every other number is drawn over it. Keys may come and go.
        metrics: the final figures, in percent but for a loss.
        classes: names of the confusion matrix's rows; None: numbers.
        confusion: counts (true classes, predicted classes).
        summary: the settings of the run.

    Raises:
        VidhubError: matplotlib is not installed.
    """
    path = Path(path)
    names = list(classes) if classes else [f"class {i}" for i in range(0 if confusion is None else len(confusion))]
    if path.suffix == ".png":
        content = _picture(title, history, confusion, names)
    else:
        content = _page(title, history, metrics or {}, names, confusion, worst, summary or {}).encode()
    write_whole(path, content)


# --------------------------------------------------------------------------------------------------------------- page

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em;
  color-scheme: light dark; }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em; border-bottom: 1px solid #8884 }
table { border-collapse: collapse } td, th { padding: .15em .9em .15em 0; text-align: left; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.figures { display: flex; flex-wrap: wrap; gap: 1em 2.5em } .figures b { font-size: 1.7em; display: block }
.drawing { background: #fff; border-radius: 6px; max-width: 100% } .muted { opacity: .65 }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 1em }
.clips img { width: 100%; border-radius: 6px } .clips div { overflow-wrap: anywhere; font-size: .85em }
"""


def _page(title, history, metrics, names, confusion, worst, summary) -> str:
    parts = [f"<h1>{html.escape(title)}</h1>"]
    if metrics:
        figures = (f"<div><b>{_figure(name, value)}</b>{html.escape(name)}</div>" for name, value in metrics.items())
        parts.append(f'<div class="figures">{"".join(figures)}</div>')
    if history:
        parts += ["<h2>Curves</h2>", _image(_drawing(_draw_curves, history), "curves")]
    if confusion is not None and len(confusion):
        parts += ["<h2>Confusion matrix</h2>", _image(_drawing(_draw_confusion, confusion, names), "confusion matrix")]
        parts += ["<h2>Hardest classes</h2>", _hardest(confusion, names)]
        parts += ["<h2>Most confused</h2>", _confused(confusion, names)]
    if worst:
        parts += ["<h2>Worst clips</h2>", f'<div class="clips">{"".join(map(_clip, worst))}</div>']
    if summary:
        rows = [(html.escape(str(k)), html.escape(str(v))) for k, v in summary.items()]
        parts += ["<h2>Settings</h2>", _table(("", ""), rows)]
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _figure(name: str, value: float) -> str:
    if not _finite(value):
        return "none"
    return f"{value:.3f}" if name.endswith("loss") else f"{value:.1f} %"


def _hardest(confusion: np.ndarray, names: Sequence[str]) -> str:
    counts = confusion.sum(1)
    accuracy = np.diag(confusion) / np.maximum(counts, 1)
    order = [i for i in np.argsort(accuracy, kind="stable") if counts[i]][:_ROWS]
    rows = [(html.escape(names[i]), f"{100 * accuracy[i]:.1f} %", str(counts[i])) for i in order]
    return _table(("class", "right", "videos"), rows)


def _confused(confusion: np.ndarray, names: Sequence[str]) -> str:
    off = confusion * (1 - np.eye(len(confusion), dtype=confusion.dtype))
    order = np.argsort(-off, axis=None, kind="stable")[:_ROWS]
    pairs = [np.unravel_index(i, off.shape) for i in order]
    rows = [(html.escape(names[i]), html.escape(names[j]), str(off[i, j])) for i, j in pairs if off[i, j]]
    return _table(("true", "taken for", "times"), rows) if rows else '<p class="muted">None.</p>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<tr>{''.join(_cell(text) for text in row)}</tr>" for row in rows)
    top = "".join(f"<th>{name}</th>" for name in head) if any(head) else ""
    return f"<table><tr>{top}</tr>{cells}</table>"


def _cell(text: str) -> str:
    number = text.removesuffix(" %").replace(".", "", 1).isdecimal()
    return f'<td class="number">{text}</td>' if number else f"<td>{text}</td>"


def _clip(clip: WorstClip) -> str:
    picture = _image(_jpeg(clip.thumbnail), "", "jpeg") if clip.thumbnail is not None else ""
    text = f"<b>{html.escape(clip.label)}</b> ({100 * clip.score:.1f} %)<br>taken for {html.escape(clip.predicted)}"
    return f'<div>{picture}{text}<br><span class="muted">{html.escape(clip.path)}</span></div>'


def _image(content: bytes, alt: str, kind: str = "png") -> str:
    data = base64.b64encode(content).decode()
    return f'<img class="drawing" alt="{alt}" src="data:image/{kind};base64,{data}">'


def _jpeg(picture: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=80)
    return file.getvalue()


# ----------------------------------------------------------------------------------------------------------- drawings


def _drawing(draw, *data: Any) -> bytes:
    figure = _figure_of(1)
    draw(figure.subfigures(), *data)
    return _png(figure)


def _picture(
    title: str, history: Sequence[dict[str, Any]], confusion: np.ndarray | None, names: Sequence[str]
) -> bytes:
    has_matrix = confusion is not None and len(confusion) > 0
    figure = _figure_of(1 + has_matrix)
    figure.suptitle(title, parse_math=False)
    upper = figure.subfigures(1 + has_matrix, 1, squeeze=False)[:, 0]
    _draw_curves(upper[0], history)
    if has_matrix:
        _draw_confusion(upper[1], confusion, names)
    return _png(figure)


def _figure_of(rows: int):
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise VidhubError("drawing a report needs matplotlib: pip install 'vidhub[train]'.") from None
    return Figure(figsize=(10, 5.5 * rows), layout="constrained")


def _png(figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def _draw_curves(figure, history: Sequence[dict[str, Any]]) -> None:
    """Losses, scores of validation, and learning rate, over the steps."""
    left, right = figure.subplots(1, 2)
    for axes, keys in ((left, ("loss", "val_loss")), (right, _score_keys(history))):
        for key in keys:
            points = _points(history, key)
            if points:
                marker = "o" if key.startswith("val_") else None
                axes.plot(*zip(*points, strict=True), label=key, marker=marker, markersize=3)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
    left.set_title("loss")
    right.set_title("validation")
    rates = _points(history, "lr")
    if rates:
        axes = left.twinx()
        axes.plot(*zip(*rates, strict=True), color="gray", linestyle=":", linewidth=1)
        axes.set_ylabel("learning rate (dotted)", color="gray")


def _score_keys(history: Sequence[dict[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for row in history for key in row)
    return [key for key in keys if key.startswith("val_") and key not in ("val_loss", "val_top5")]


def _points(history: Sequence[dict[str, Any]], key: str) -> list[tuple[float, float]]:
    return [(row["step"], row[key]) for row in history if _finite(row.get("step")) and _finite(row.get(key))]


def _finite(value: Any) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)


def _draw_confusion(figure, confusion: np.ndarray, names: Sequence[str]) -> None:
    """Shares of each row; rows are true classes."""
    axes = figure.subplots()
    count = len(confusion)
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    block = -(-count // _PIXELS)  # more classes than pixels: each pixel shows the largest share of its block
    if block > 1:
        padded = np.pad(shares, (0, -count % block))
        shares = padded.reshape(len(padded) // block, block, -1, block).max((1, 3))
    edge = count - 0.5
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest", extent=(-0.5, edge, edge, -0.5))
    figure.colorbar(image, cax=axes.inset_axes((1.02, 0, 0.04, 1)), label="share of the true class")
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if count <= _AXES_WITH_NAMES:
        size = 9 if count <= _CELLS_WITH_NUMBERS else 5
        axes.set_xticks(range(count), names, rotation=90 if count > 4 else 0, fontsize=size, parse_math=False)
        axes.set_yticks(range(count), names, fontsize=size, parse_math=False)
    if count <= _CELLS_WITH_NUMBERS:
        for i, j in np.argwhere(confusion):
            color = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, str(confusion[i, j]), ha="center", va="center", color=color, fontsize=9)
