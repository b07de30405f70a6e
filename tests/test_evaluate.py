"""Evaluation of a data set: scores, what they are worth, resuming, processes, class order and fusion."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from clips import fill

import vidhub
from vidhub.datasets.dataset import VideoDataset
from vidhub.engine import evaluate as module
from vidhub.engine.evaluate import Evaluation, evaluate, fuse, label_columns, load_evaluation
from vidhub.errors import InputError, UnknownNameError, VideoError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stripes")
    fill(folder / "val", 3)
    (folder / "val" / "still" / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    model = vidhub.create_model("x3d_xs", num_classes=2, depth=0.5)
    model.data_config = replace(model.data_config, num_frames=2, stride=2, size=32, resize=36, views=(2, 3))
    model.labels = ("moving", "still")
    return model


def test_scores_are_those_of_predict(root, model):
    result = evaluate(model, "folder", root, workers=0)
    assert result.scores.shape == (6, 2)
    assert result.classes == ("moving", "still")
    for name, scores in zip(result.names, result.scores, strict=True):
        prediction = vidhub.predict(model, name, views="test")
        by_class = dict(zip(prediction.indices, prediction.scores, strict=True))
        assert [by_class[0], by_class[1]] == pytest.approx(scores.tolist(), abs=1e-5)
    right = (result.scores.argmax(1) == result.targets).mean()
    assert result.metrics["top1"] == pytest.approx(100 * right)
    assert result.confusion.sum() == 6


def test_unreadable_videos_are_told_and_have_no_scores(root, model):
    result = evaluate(model, "folder", root, workers=0, views=1)
    assert len(result.failures) == 1
    assert "broken.mp4" in result.failures[0]
    assert not any("broken" in name for name in result.names)


def test_nothing_readable_is_an_error(tmp_path, model):
    (tmp_path / "val" / "moving").mkdir(parents=True)
    (tmp_path / "val" / "still").mkdir()
    (tmp_path / "val" / "still" / "1.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match="no video of the data set could be read"):
        evaluate(model, "folder", tmp_path, workers=0)


def test_a_negative_number_of_workers_is_told(root, model):
    with pytest.raises(InputError, match="workers must be 0 or a positive number, not -1"):
        evaluate(model, "folder", root, workers=-1)


def test_errors_of_workers_come_without_their_traceback(root):
    network = vidhub.create_model("stgcnpp", num_classes=2, depths=(1,), width=12)
    with pytest.raises(InputError, match="takes skeletons") as raised:
        evaluate(network, "folder", root, workers=1, views=1)
    assert "Traceback" not in str(raised.value)


def test_unknown_arguments_are_told_for_data_sets_too(root, model):
    with pytest.raises(UnknownNameError, match="did you mean 'batch_size'"):
        evaluate(model, vidhub.create_dataset("folder", root, "val"), workers=0, bacth_size=3)


def test_goes_on_where_it_stopped(root, model, tmp_path, monkeypatch):
    whole = evaluate(model, "folder", root, views=1, workers=0)
    monkeypatch.setattr(module, "_SAVE_EVERY", 2)
    scored = []
    original = module.score_dataset

    def stop_after_three(*args, **kwargs):
        for number, item in enumerate(original(*args, **{**kwargs, "batch_size": 1})):
            if number == 3:
                raise KeyboardInterrupt
            yield item

    def count(model, data, indices, **kwargs):
        scored.extend(indices)
        yield from original(model, data, indices, **kwargs)

    monkeypatch.setattr(module, "score_dataset", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, "folder", root, views=1, workers=0, out=tmp_path)
    monkeypatch.setattr(module, "score_dataset", count)
    result = evaluate(model, "folder", root, views=1, workers=0, out=tmp_path)
    assert len(scored) == 5  # two were saved, one of them is the broken one or not: seven videos in all
    np.testing.assert_allclose(result.scores, whole.scores, atol=1e-6)
    assert json.loads((tmp_path / "metrics.json").read_text()) == pytest.approx(whole.metrics)
    assert "<html" in (tmp_path / "report.html").read_text()
    saved = load_evaluation(tmp_path)
    assert saved.names == whole.names
    assert saved.failures == whole.failures


def test_scores_of_something_else_are_not_mixed(root, model, tmp_path):
    evaluate(model, "folder", root, views=1, workers=0, out=tmp_path)
    with pytest.raises(InputError, match="another model, data set or protocol"):
        evaluate(model, "folder", root, views=2, workers=0, out=tmp_path)
    with pytest.raises(InputError, match="another model, data set or protocol"):
        evaluate(model, "folder", root, views=1, workers=0, out=tmp_path, dtype="bfloat16")
    evaluate(model, "folder", root, views=1, workers=0, out=tmp_path, dtype="float32")


def test_processes_share_the_work(root, model, tmp_path):
    vidhub.save_checkpoint(model, tmp_path / "model")
    port = str(21000 + os.getpid() % 20000)
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
    arguments = [f"local-dir:{tmp_path / 'model'}", "folder", str(root), "--views", "1", "--workers", "0"]
    done = subprocess.run(
        [*run, "-m", "vidhub", "eval", *arguments, "--out", str(tmp_path / "out"), "--device", "cpu", "--json"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    alone = evaluate(model, "folder", root, views=1, workers=0)
    about = json.loads(done.stdout)
    assert about["videos"] == 6
    assert about["top1"] == pytest.approx(alone.metrics["top1"])
    np.testing.assert_allclose(load_evaluation(tmp_path / "out").scores, alone.scores, atol=1e-6)


# ------------------------------------------------------------------------------------------------------- class order


def test_another_class_order_is_detected_and_can_be_matched(root, model):
    usual = evaluate(model, "folder", root, views=1, workers=0)
    turned = VideoDataset(
        [replace(r, label=1 - r.label) for r in vidhub.create_dataset("folder", root, "val").records],
        classes=("Still", "mov-ing"),
    )
    with pytest.raises(InputError, match=r"class 0 is 'moving' in the model .* 'Still' in the data set"):
        evaluate(model, turned, views=1, workers=0)
    result = evaluate(model, turned, views=1, workers=0, match_labels=True)
    np.testing.assert_allclose(result.scores, usual.scores[:, ::-1])
    assert result.metrics["top1"] == usual.metrics["top1"]


@pytest.mark.parametrize("names", [("跑步", "跳跃"), ("C", "C++"), ("+", "-"), ("हिन्दी", "Straße")])
def test_classes_are_told_apart_whatever_their_script(names):
    model = SimpleNamespace(labels=names)
    assert label_columns(model, VideoDataset([], classes=names)) is None
    turned = VideoDataset([], classes=names[::-1])
    assert label_columns(model, turned, match=True) == [1, 0]
    with pytest.raises(InputError, match="same order"):
        label_columns(model, turned)


def test_unknown_classes_and_other_numbers_are_errors(root, model):
    records = vidhub.create_dataset("folder", root, "val").records
    with pytest.raises(InputError, match="'rolling' is not among the model's 2 classes"):
        evaluate(model, VideoDataset(records, classes=("moving", "rolling")), workers=0)
    with pytest.raises(InputError, match="2 classes, the data set 5"):
        evaluate(model, VideoDataset(records, num_classes=5), workers=0)


# ------------------------------------------------------------------------------------------------------------ fusion


def scores_of(rows, names=("a.mp4", "b.mp4", "c.mp4"), targets=(0, 1, 1), classes=("x", "y")):
    return Evaluation(np.array(rows, np.float32), np.array(targets), tuple(names), classes)


def test_fusion_is_the_weighted_mean_on_common_videos(tmp_path):
    rgb = scores_of([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    flow = scores_of([[0.2, 0.8], [0.3, 0.7]], ("flow/b.avi", "flow/a.avi"), (1, 0))
    flow.save(tmp_path / "flow.npz")
    fused = fuse([rgb, tmp_path / "flow.npz"], weights=[1, 3])
    assert fused.names == ("a.mp4", "b.mp4")
    np.testing.assert_allclose(fused.scores, [[0.45, 0.55], [0.3, 0.7]], rtol=1e-6)
    assert fused.targets.tolist() == [0, 1]


def test_parts_of_a_video_are_videos_of_their_own():
    names = ("a.mp4#t=0,1.5", "a.mp4#t=1.5,3", "b.mp4")
    fused = fuse([scores_of([[1, 0]] * 3, names), scores_of([[0, 1]] * 3, tuple(f"flow/{name}" for name in names))])
    assert fused.names == names


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (scores_of([[1, 0]], ("z.mp4",), (0,)), "no video in common"),
        (scores_of([[1, 0]], ("a.mp4",), (1,)), "different labels"),
        (scores_of([[1, 0]], ("a.mp4",), (0,), ("y", "x")), "different classes"),
    ],
)
def test_what_cannot_be_fused(other, message):
    with pytest.raises(InputError, match=message):
        fuse([scores_of([[0.9, 0.1]] * 3), other])


def test_videos_without_labels_are_not_in_the_confusion_matrix():
    scores = np.eye(3, dtype=np.float32)
    found = Evaluation(scores, np.array([0, -1, 1]), ("a", "b", "c"))
    assert found.confusion.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert Evaluation(scores, np.full(3, -1), ("a", "b", "c")).confusion is None


def test_wrong_files_and_weights(tmp_path):
    scores_of([[1, 0]] * 3).save(tmp_path / "whole.npz")
    for content in (b"nothing", b"", (tmp_path / "whole.npz").read_bytes()[:200]):
        (tmp_path / "scores.npz").write_bytes(content)
        with pytest.raises(InputError, match="holds no scores"):
            load_evaluation(tmp_path)
    np.save(tmp_path / "scores.npy", np.zeros(3))
    with pytest.raises(InputError, match="holds no scores"):
        load_evaluation(tmp_path / "scores.npy")
    with pytest.raises(InputError, match="one weight for each"):
        fuse([scores_of([[1, 0]] * 3)], weights=[1, 2])
    with pytest.raises(InputError, match="more than 0"):
        fuse([scores_of([[1, 0]] * 3)], weights=[0])


def test_several_labels_are_measured_by_average_precision():
    targets = np.array([[1, 0], [1, 1]], np.float32)
    result = Evaluation(np.array([[0.9, 0.2], [0.8, 0.7]], np.float32), targets, ("a", "b"))
    assert result.metrics == {"mAP": 100, "mmit_mAP": 100}
    assert result.confusion is None
