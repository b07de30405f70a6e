"""Metrics of temporal localization: published figures, properties, and clear errors."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from pipeline import cases, check

from vidhub.errors import InputError
from vidhub.metrics.segments import (
    Labelled,
    average_precision,
    average_recall,
    detection_map,
    pairwise_iou,
    proposal_scores,
    segment_scores,
    thumos14_map,
)

FILES = Path(os.environ.get("VIDHUB_REFERENCE", ""), "pipeline")


def overlaps(given, params):
    iou, own = pairwise_iou(np.array(given["candidates"]), np.array(given["targets"]))
    return {"iou": iou, "overlap_self": own}


def recalls(given, params):
    found = average_recall(
        given["ground_truth"], given["proposals"], params["max_avg_proposals"], params["iou_thresholds"]
    )
    named = {f"AR@{k}": found.average[k - 1] for k in (1, 5, 10, 100)}
    at = {f"recall_at_iou_0_{n}": found.recall[i] for n, i in (("5", 0), ("75", 5), ("95", 9))}
    named |= at | {"auc": found.auc, "average_recall": found.average, "proposals_per_video": found.proposals_per_video}
    return named


def from_files(given):
    truth, result = (json.loads((FILES / given[k]).read_text()) for k in ("gt", "result"))
    truth = {k.removeprefix("v_"): np.array([a["segment"] for a in v["annotations"]]) for k, v in truth.items()}
    rows = {k: np.array([[*a["segment"], a["score"]] for a in v]) for k, v in result["results"].items()}
    return truth, rows


def file_recalls(given, params):
    found = average_recall(*from_files(given), params["max_avg_proposals"])
    return {"auc": found.auc, "average_recall": found.average, "proposals_per_video": found.proposals_per_video}


def file_scores(given, params):
    return proposal_scores(*from_files(given))


def precisions(given, params):
    found = {}
    for video, _, start, end, score in given["predictions"]:
        found.setdefault(video, []).append((start, end, score))
    return {"ap": average_precision(given["ground_truth"], found, params["iou_thresholds"])}


def labelled(annotations):
    scores = [a.get("score") for a in annotations]
    return Labelled([a["segment"] for a in annotations], [a["label"] for a in annotations], scores)


def detections(given, params):
    truth = {k.removeprefix("v_"): labelled(v["annotations"]) for k, v in given["gt_json"].items()}
    found = {
        k: labelled(v)._replace(scores=[a["score"] for a in v]) for k, v in given["result_json"]["results"].items()
    }
    scores = detection_map(truth, found, params["iou_thresholds"])
    return {
        "mAP": scores.map,
        "average_mAP": scores.average_map,
        "ap_per_class": dict(zip(scores.classes, scores.ap.T, strict=True)),
    }


OPERATIONS = {
    "pairwise_temporal_iou": overlaps,
    "average_recall": recalls,
    "average_recall.files": file_recalls,
    "anet_metric": file_scores,
    "average_precision_at_temporal_iou": precisions,
    "activitynet_detection": detections,
}


@pytest.mark.parametrize(
    ("op", "params", "given_", "expected"), [c for c in cases("metrics") if c.values[0] in OPERATIONS]
)
def test_published_figures(op, params, given_, expected):
    actual = OPERATIONS[op](given_, params)
    if "ap_per_class" in actual:
        assert actual["ap_per_class"].keys() == expected["ap_per_class"].keys()
        check(actual.pop("ap_per_class"), expected["ap_per_class"])
    check(actual, expected)


def one_by_one(truth, rows, threshold):
    """Average precision of a class in the plainest words."""
    taken, hits = set(), []
    for video, start, end, _ in sorted(rows, key=lambda r: -r[3]):
        iou = [(pairwise_iou([(start, end)], [s])[0].item(), i) for i, s in enumerate(truth.get(video, ()))]
        free = [(v, i) for v, i in iou if v >= threshold and (video, i) not in taken]
        hits.append(bool(free))
        if free:
            taken.add((video, max(free)[1]))
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return sum(precision[i:].max() for i, hit in enumerate(hits) if hit) / sum(map(len, truth.values()))


def test_many_classes_and_videos_at_once_are_the_same_as_one_by_one():
    g = np.random.default_rng(0)
    truth, found, plain = {}, {}, {}
    for video in range(12):
        n, m = g.integers(0, 6), g.integers(0, 40)
        starts = g.uniform(0, 80, n + m)
        segments = np.stack((starts, starts + g.uniform(1, 30, n + m)), 1)
        labels = g.integers(0, 3, n + m).tolist()
        truth[video] = Labelled(segments[:n], labels[:n])
        found[video] = Labelled(segments[n:], labels[n:], g.uniform(size=m))
    scores = detection_map(truth, found, (0.1, 0.3, 0.5))
    for c, name in enumerate(scores.classes):
        plain = {v: [s for s, k in zip(*t[:2], strict=True) if k == name] for v, t in truth.items()}
        rows = [(v, *s, score) for v, t in found.items() for s, k, score in zip(*t, strict=True) if k == name]
        np.testing.assert_allclose(scores.ap[:, c], [one_by_one(plain, rows, t) for t in (0.1, 0.3, 0.5)])


def test_thumos14_leaves_out_what_overlaps_an_ambiguous_segment():
    truth = {"a": Labelled([(0, 10), (20, 30)], ["Jump", "Ambiguous"])}
    found = Labelled([(21, 29), (40, 50), (0, 9), (0, 10)], ["Jump"] * 4, [0.9, 0.8, 0.7, 0.6])
    scores = thumos14_map(truth, {"a": found}, (0.5,))
    assert scores.classes == ("Jump",)
    assert scores.ap.item() == pytest.approx(1 / 3)  # the best overlap takes it: third of those that count
    assert thumos14_map(truth, {"b": found}, (0.5,)).ap.item() == 0


def test_detections_of_unknown_classes_count_nowhere():
    truth = {"a": Labelled([(0, 10)], ["Jump"])}
    found = {"a": Labelled([(0, 10), (0, 10)], ["Run", "Jump"], [0.9, 0.5])}
    assert detection_map(truth, found).average_map == 1


def test_nothing_found_is_a_score_of_0():
    truth = {"a": Labelled([(0, 10)], ["Jump"])}
    assert set(segment_scores(truth, {}).values()) == {0}


def test_wrong_input_is_one_sentence():
    with pytest.raises(InputError, match="no true segment"):
        detection_map({}, {})
    with pytest.raises(InputError, match="needs true segments and proposals"):
        average_recall({"a": [[0, 1]]}, {})
    with pytest.raises(InputError, match="a segment, a class and a score"):
        detection_map({"a": Labelled([(0, 1)], [0])}, {"a": Labelled([(0, 1)], [0], [0.1, 0.2])})
    with pytest.raises(InputError, match="NaN"):
        detection_map({"a": Labelled([(0, 1)], [0])}, {"a": Labelled([(0, 1)], [0], [np.nan])})


def test_a_moment_is_found_by_the_same_moment_alone():
    moments, others = np.array([[3.0, 3.0]]), np.array([[3.0, 3.0], [4.0, 4.0], [2.0, 5.0]])
    assert pairwise_iou(others, moments)[0].tolist() == [[1.0, 0.0, 0.0]]
    scores = detection_map(
        {"v": Labelled(moments, ["a"])}, {"v": Labelled(others, ["a"] * 3, np.array([0.2, 0.9, 0.1]))}
    )
    assert scores.ap.tolist() == [[0.5]] * 10
