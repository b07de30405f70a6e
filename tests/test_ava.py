"""AVA's frame mAP, video mAP and result files: published figures, and plain loops beside them."""

import os
from pathlib import Path

import numpy as np
import pytest
from pipeline import cases

from vidhub.datasets.detection import read_excluded, read_label_map
from vidhub.errors import InputError
from vidhub.metrics import ava


@pytest.mark.parametrize(
    ("op", "params", "given", "expected"), [c for c in cases("metrics") if "ava_map" in c.values[0]]
)
def test_published_frame_map(op, params, given, expected):
    folder = Path(os.environ.get("VIDHUB_REFERENCE", "/nowhere")) / "pipeline"
    if not folder.is_dir():
        pytest.skip("the files are in VIDHUB_REFERENCE")
    names = read_label_map(folder / given["label_map"])
    classes = set(names) & set(params.get("custom_classes", names))
    frames = "annotated" if params.get("ignore_empty_frames", True) else "detected"
    found = ava.frame_map(
        ava.read_boxes(folder / given["pred"]),
        ava.read_boxes(folder / given["gt"]),
        classes=classes,
        excluded=read_excluded(folder / given["exclude"]) if given.get("exclude") else (),
        **ava.MMACTION2 | {"frames": frames},
    )
    values = {"overall": found.overall, **found.groups}
    for key, value in values.items():
        assert value == pytest.approx(expected[key], abs=1e-6, nan_ok=True), key
    per_class = {str(label): value for label, value in found.classes.items()}
    assert per_class == pytest.approx(expected["ap_per_class"], abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("op", "params", "given", "expected"), [c for c in cases("metrics") if "results2csv" in c.values[0]]
)
def test_published_result_files(op, params, given, expected):
    rows = [(r["video_id"], r["timestamp"], r["outputs"]) for r in given["results"]]
    classes = params["custom_classes"]
    assert ava.results_csv(rows, classes and classes[1:]) == expected["text"]


def random_boxes(rng, count, videos=3, scores=False):
    corner = rng.uniform(0, 0.5, (count, 2))
    boxes = np.concatenate((corner, corner + rng.uniform(0.2, 0.5, (count, 2))), 1)
    frames = [(f"v{rng.integers(videos)}", int(rng.integers(5))) for _ in range(count)]
    return ava.Boxes(frames, boxes, rng.integers(1, 5, count), rng.permutation(count) / count if scores else None)


def by_loops(found, truth):
    """Frame mAP as one would write it first."""
    values = []
    for label in sorted(set(truth.classes.tolist())):
        actual = [i for i in range(len(truth.frames)) if truth.classes[i] == label]
        taken, right, scores = set(), [], []
        mine = [i for i in range(len(found.frames)) if found.classes[i] == label]
        for i in sorted(mine, key=lambda i: -found.scores[i]):
            near = [
                (ava.box_iou(found.boxes[i], truth.boxes[j]), -j) for j in actual if truth.frames[j] == found.frames[i]
            ]
            overlap, j = max(near, default=(0, 0))
            right.append(overlap >= 0.5 and -j not in taken)
            if right[-1]:
                taken.add(-j)
            scores.append(found.scores[i])
        values.append(ava.interpolated_precision(np.array(scores), np.array(right, bool), len(actual)))
    return np.mean(values)


@pytest.mark.parametrize("seed", range(5))
def test_frame_map_is_that_of_plain_loops(seed):
    rng = np.random.default_rng(seed)
    truth, found = random_boxes(rng, 60), random_boxes(rng, 200, scores=True)
    assert ava.frame_map(found, truth).overall == pytest.approx(by_loops(found, truth))


def test_what_options_count():
    box = np.array([[0, 0, 1, 1.0]])
    truth = ava.Boxes(["a", "b"], np.repeat(box, 2, 0), np.array([1, 2]))
    found = ava.Boxes(["c", "a"], np.repeat(box, 2, 0), np.array([1, 1]), np.array([0.9, 0.8]))
    assert ava.frame_map(found, truth).classes == {1: 0.5, 2: 0.0}
    assert ava.frame_map(found, truth, frames="annotated").classes == {1: 1.0, 2: 0.0}
    assert ava.frame_map(found, truth, skip_undetected=True).classes == {1: 0.5}
    assert np.isnan(ava.frame_map(found, truth, excluded=["a"]).classes[1])
    assert ava.frame_map(found, truth, excluded=["a"], count_excluded=True).classes[1] == 0
    nothing = ava.Boxes([], np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    assert ava.frame_map(nothing, truth).overall == 0
    assert np.isnan(ava.frame_map(nothing, nothing).overall)


def test_scores_that_are_none_are_told():
    box = np.array([[0, 0, 1, 1]])
    with pytest.raises(InputError, match="NaN"):
        ava.frame_map(ava.Boxes(["a"], box, np.array([1]), np.array([np.nan])), ava.Boxes(["a"], box, np.array([1])))


def test_files_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "a.csv").write_text("v,902,0,0,1,1,12\n", encoding="utf-8-sig")
    assert ava.read_boxes(tmp_path / "a.csv").frames == [("v", 902)]


def test_malformed_boxes_are_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("v,902,0.1,0.1,0.5,0.5,3,0.5\nv,902,0.6,0.1,0.5,0.5,3,0.5\n")
    with pytest.raises(InputError, match="line 2"):
        ava.read_boxes(path)
