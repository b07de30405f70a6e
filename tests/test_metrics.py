"""Classification metrics: published figures, properties, and clear errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pipeline import cases, check

from vidhub.errors import InputError
from vidhub.metrics import classification as metrics


def with_bonus(given_):
    """The scores of a case; "bonus" lifts the true class of every even row."""
    scores, labels = np.array(given_["scores"]), np.array(given_["labels"])
    if "bonus" in given_:
        rows = np.arange(0, len(labels), 2)
        scores[rows, labels[rows]] += 1.5
    return scores, labels


def accuracies(given_, params):
    scores, labels = with_bonus(given_)
    return {"accuracy": metrics.top_k_accuracy(scores, labels, params["topk"])}


def hit_ratios(given_, params):
    found = metrics.top_k_classes(*with_bonus(given_), params["k"], best=params["mode"] == "accurate")
    return {"hit_ratios": [ratio for _, ratio in found]}


def matrices(given_, params):
    ways = {"None": None, "true": "true", "pred": "pred", "all": "all"}
    return {k: metrics.confusion_matrix(given_["predicted"], given_["real"], normalize=v) for k, v in ways.items()}


def full_matrix(given_, params):
    scores = given_["scores"]
    return {"matrix": metrics.confusion_matrix(scores.argmax(1), given_["labels"], num_classes=scores.shape[1])}


def curve(given_, params):
    scores, labels = given_["scores"], np.array(given_["labels"])
    column = given_["column"]
    values = metrics.precision_recall_curve(scores[:, column], labels[:, column])
    return dict(zip(("precision", "recall", "thresholds"), values, strict=True))


def tag_metric(given_, params):
    categories = dict(zip(given_["categories"], given_["category_nums"], strict=True))
    targets = np.full(given_["scores"].shape, np.nan)
    for row, label in zip(targets, given_["labels"], strict=True):
        first = 0
        for name, size in categories.items():
            if name in label:
                row[first : first + size] = np.isin(np.arange(size), label[name])
            first += size
    return metrics.hvu_mean_average_precision(given_["scores"], targets, categories)


def named(given_, params):
    scores, labels = with_bonus(given_)
    functions = {
        "top_k_accuracy": lambda: {
            f"top{k}": v
            for k, v in zip(params["topk"], metrics.top_k_accuracy(scores, labels, params["topk"]), strict=True)
        },
        "mean_class_accuracy": lambda: {"mean1": metrics.mean_class_accuracy(scores, labels)},
        "mean_average_precision": lambda: {"mean_average_precision": metrics.mean_average_precision(scores, labels)},
        "mmit_mean_average_precision": lambda: {
            "mmit_mean_average_precision": metrics.mmit_mean_average_precision(scores, labels)
        },
    }
    return {k: v for name in params["metric_list"] for k, v in functions[name]().items()}


def two_streams(given_, params):
    streams = {"rgb": given_["rgb"], "pose": given_["pose"]}
    for a, b in ((1, 1), (2, 1), (1, 2)):
        streams[f"RGBPose_{a}:{b}"] = metrics.fuse_scores([given_["rgb"], given_["pose"]], [a, b])
    found = {}
    for name, scores in streams.items():
        values = metrics.top_k_accuracy(scores, given_["labels"], params["topk"])
        found |= {f"{name}_top{k}": v for k, v in zip(params["topk"], values, strict=True)}
    return found


OPERATIONS = {
    "top_k_accuracy": accuracies,
    "mean_class_accuracy": lambda g, p: {"mean_class_accuracy": metrics.mean_class_accuracy(*with_bonus(g))},
    "top_k_classes": hit_ratios,
    "confusion_matrix": matrices,
    "confusion_matrix.full": full_matrix,
    "mean_average_precision": lambda g, p: {"mAP": metrics.mean_average_precision(g["scores"], g["labels"])},
    "mmit_mean_average_precision": lambda g, p: {"mAP": metrics.mmit_mean_average_precision(g["scores"], g["labels"])},
    "precision_recall_curve": curve,
    "hvu_metric": tag_metric,
    "weighted_score": lambda g, p: {"scores": metrics.fuse_scores(g["scores"], p["coefficients"])},
    "softmax": lambda g, p: {"y": metrics.softmax(g["x"])},
    "acc_metric": named,
    "acc_metric.rgb_pose": two_streams,
}


@pytest.mark.parametrize(
    ("operation", "params", "given_", "expected"), [c for c in cases("metrics") if c.values[0] in OPERATIONS]
)
def test_published_figures(operation, params, given_, expected):
    if given_.get("scores_rounded_to"):  # to one decimal, for equal scores
        given_ = given_ | {"scores": given_["scores"].round(1)}
    found = OPERATIONS[operation](given_, params)
    assert set(found) == set(expected)
    check(found, expected, rtol=2e-6, atol=1e-7)


# ---------------------------------------------------------------------------------------------------------- properties

labels = arrays(np.int64, 12, elements=st.integers(0, 3))
scores = arrays(np.float64, (12, 4), elements=st.floats(0, 1))


@given(scores, labels)
def test_accuracy_grows_with_k_up_to_one(scores, labels):
    values = metrics.top_k_accuracy(scores, labels, topk=(1, 2, 3, 4))
    assert values == sorted(values)
    assert values[-1] == 1


@given(labels, labels)
def test_rows_and_columns_of_the_matrix_count_labels_and_predictions(predicted, labels):
    matrix = metrics.confusion_matrix(predicted, labels, num_classes=4)
    assert matrix.sum(1).tolist() == np.bincount(labels, minlength=4).tolist()
    assert matrix.sum(0).tolist() == np.bincount(predicted, minlength=4).tolist()
    assert np.trace(matrix) == (predicted == labels).sum()
    shares = metrics.confusion_matrix(predicted, labels, num_classes=4, normalize="true")
    assert set(np.round(shares.sum(1), 9)) <= {0, 1}


@given(
    arrays(np.float64, 15, elements=st.sampled_from([0, 0.25, 0.5, 1])),
    arrays(np.int64, 15, elements=st.integers(0, 1)),
)
def test_average_precision_by_its_definition(scores, positive):
    """Precision at each distinct threshold, weighted by the recall it adds."""
    found = metrics.average_precision(scores, positive)
    if not positive.any():
        assert np.isnan(found)
        return
    area, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        kept = scores >= threshold
        recall = positive[kept].sum() / positive.sum()
        area += (recall - before) * positive[kept].mean()
        before = recall
    assert found == pytest.approx(area)


@given(scores)
def test_softmax_sums_to_one(scores):
    assert metrics.softmax(scores * 1000).sum(1) == pytest.approx(1)


def test_mean_average_precision_leaves_out_what_is_not_annotated():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    targets = np.array([[1, 0], [np.nan, 0], [1, 0]])
    assert metrics.mean_average_precision(scores, targets) == 1


def test_narrow_types_do_not_overflow():
    label = np.array([15], np.uint8)
    assert metrics.confusion_matrix(label, label, num_classes=20)[15, 15] == 1
    assert metrics.top_k_accuracy(np.array([[1, 2, 0]], np.uint8), np.array([1], np.uint8), (1,)) == [1]
    assert metrics.average_precision(np.array([3, 1], np.uint8), np.array([1, 0])) == 1


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (metrics.top_k_accuracy, (np.zeros((2, 3)), [0, 3]), "from 0 to 2"),
        (metrics.top_k_accuracy, (np.zeros((0, 3)), []), "a label each"),
        (metrics.mean_class_accuracy, (np.zeros((2, 3)), [0]), "a label each"),
        (metrics.confusion_matrix, ([0, 1], [0]), "as many predictions"),
        (metrics.mean_average_precision, (np.zeros((2, 3)), np.zeros((2, 2))), "samples, classes"),
        (metrics.mean_average_precision, (np.zeros((2, 3)), np.zeros((2, 3))), "no class has a positive"),
        (metrics.precision_recall_curve, (np.zeros(2), np.zeros(3)), "as many scores"),
        (metrics.hvu_mean_average_precision, (np.zeros((2, 3)), np.zeros((2, 3)), {"a": 2}), "2 tags, the targets 3"),
        (metrics.fuse_scores, ([np.zeros(2), np.zeros(3)], [1, 1]), "the same shape"),
        (metrics.top_k_accuracy, (np.full((2, 3), np.nan), [0, 1]), "NaN"),
        (metrics.mean_average_precision, (np.full((2, 1), np.nan), np.ones((2, 1))), "NaN"),
        (metrics.precision_recall_curve, ([0.5, np.nan], [0, 1]), "NaN"),
        (metrics.mean_class_accuracy, (np.zeros((2, 3)), [0, 1.5]), "whole numbers, not 1.5"),
    ],
)
def test_wrong_input(function, arguments, message):
    with pytest.raises(InputError, match=message):
        function(*arguments)


def test_wrong_normalisation():
    with pytest.raises(InputError, match="'rows'"):
        metrics.confusion_matrix([0], [0], normalize="rows")
