"""The report of a run, as a page and as a picture."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from vidhub.engine.report import WorstClip, write_report

HISTORY = [
    {"step": 1, "epoch": 0.5, "loss": 2.0, "lr": 0.1},
    {"step": 2, "epoch": 1.0, "loss": float("nan"), "lr": 0.1},
    {"step": 2, "epoch": 1.0, "val_top1": 50.0, "val_loss": 1.5},
]


def page(tmp_path, **content):
    path = tmp_path / "report.html"
    write_report(path, **{"title": "a run", **content})
    return path.read_text()


def test_a_whole_report_needs_nothing_but_itself(tmp_path):
    clip = WorstClip("a/<b>.mp4", "jump & run", "<i>sit</i>", 0.125, np.zeros((20, 30, 3), np.uint8))
    text = page(
        tmp_path,
        history=HISTORY,
        metrics={"top1": 66.667, "loss": 0.5},
        classes=["run", "<script>"],
        confusion=np.array([[3, 1], [2, 0]]),
        worst=[clip],
        summary={"lr": 0.1},
    )
    assert "66.7 %" in text
    assert text.count("data:image/png;base64,") == 2
    assert "data:image/jpeg;base64," in text
    assert "12.5 %" in text
    assert "jump &amp; run" in text
    assert "<script>" not in text
    assert "<i>" not in text
    assert not re.search(r'(src|href)="http', text)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_classes_are_listed_worst_first(tmp_path):
    text = page(tmp_path, confusion=np.array([[4, 0, 0], [2, 2, 0], [0, 3, 1]]))
    hardest = text[text.index("Hardest") : text.index("Most confused")]
    assert hardest.index("class 2") < hardest.index("class 1") < hardest.index("class 0")
    confused = text[text.index("Most confused") :]
    assert confused.index("class 2") < confused.index("class 0")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"history": HISTORY[:1]},
        {"history": [{"epoch": 1.0, "loss": 2.0}]},
        {"metrics": {"top1": None, "loss": float("nan")}},
        {"confusion": np.array([[1, 0], [0, 1]])},
    ],
)
def test_parts_may_be_missing(tmp_path, content):
    assert "<h1>a run</h1>" in page(tmp_path, **content)


def test_names_are_no_formulas(tmp_path):
    assert r"$\no_formula$" in page(tmp_path, confusion=np.eye(2, dtype=int), classes=[r"$\no_formula$", "run"])


def test_many_classes(tmp_path):
    confusion = np.random.default_rng(0).integers(0, 5, (700, 700))
    assert len(page(tmp_path, confusion=confusion)) < 10_000_000


@pytest.mark.parametrize("confusion", [None, np.eye(3, dtype=int)])
def test_as_a_picture(tmp_path, confusion):
    path = tmp_path / "report.png"
    write_report(path, title="a run", history=HISTORY, confusion=confusion)
    with Image.open(io.BytesIO(path.read_bytes())) as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("L").getcolors()) > 50
