"""Structured segment networks: published figures of every part."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import recipe_state
from pipeline import cases, check

import vidhub
from vidhub.datasets.proposals import (
    denormalize_proposals,
    read_proposals,
    target_statistics,
    training_proposals,
    usable,
)
from vidhub.engine import segment_losses as losses
from vidhub.engine.postprocess import nms, regress, ssn_detections, ssn_segments
from vidhub.errors import InputError, WeightsError
from vidhub.metrics.segments import average_precision
from vidhub.models._checkpoint import load_state_dict
from vidhub.models.ssn import SSNHead, SSNOutput
from vidhub.transforms.proposals import stage_proposal, tick_proposals


def tensors(*arrays):
    return [torch.from_numpy(np.asarray(a)) for a in arrays]


def head_of(params, in_features=1, num_classes=1):
    levels = [[stage] if isinstance(stage, int) else stage for stage in params["stpp_stage"]]
    return SSNHead(in_features, num_classes, levels, tuple(params.get("num_segments_list", (2, 5, 2))))


def pool(given, params):
    features, scale = tensors(given["features"], given["scale_factors"])
    head = head_of(params, features.shape[1])
    activity, pyramid = head.pool(features.unflatten(0, (len(scale), -1)), scale)
    return {"activity_feature": activity, "pyramid_feature": pyramid}


def named(out):
    names = ("activity", "completeness", "regression")
    return {name: value.flatten(1).detach() for name, value in zip(names, out, strict=True)}


def pool_scores(given, params):
    head = head_of(params, 1, params["num_classes"])
    scores, ticks, scale = tensors(given["scores"], given["proposal_ticks"], given["scale_factors"])
    return named(head.pool_ticks(scores, ticks, scale)) | {"feat_dim": scores.shape[1]}


def head(given, params):
    model = head_of(params, params["in_channels"], params["num_classes"])
    state = {k.replace("_fc", "").replace("regressor", "regression"): v for k, v in given["parameters"].items()}
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    features, ticks, scale = tensors(given["test_features"], given["proposal_ticks"], given["scale_factors"])
    scores = model.score_ticks(features)
    train, train_scale = tensors(given["train_features"], given["train_scale_factors"])
    trained = named(model(train.unflatten(0, (len(train_scale), -1)), train_scale))
    found = named(model.pool_ticks(scores, ticks, scale)) | {"test_scores": scores.detach()}
    return found | {f"train_{k}": v for k, v in trained.items()}


def loss_parts(given, params):
    scores = [torch.from_numpy(given[k]) for k in ("activity_scores", "completeness_scores", "bbox_preds")]
    kinds, labels, targets = tensors(given["proposal_type"], given["labels"], given["bbox_targets"])
    shares = [params[f"{kind}_ratio"] for kind in ("positive", "incomplete", "background")]
    per_video = tuple(params["num_per_video"] * share // sum(shares) for share in shares)
    found = losses.ssn_loss(SSNOutput(*scores), kinds, labels, targets, per_video=per_video)
    names = {"loss_activity": "activity", "loss_completeness": "completeness", "loss_reg": "regression"}
    return {theirs: found[ours] for theirs, ours in names.items()}


def hinge(given, params):
    scores = torch.from_numpy(given["pred"]).requires_grad_()
    (labels,) = tensors(given["labels"])
    loss = losses.ohem_hinge(scores, labels, params["is_positive"], params["ohem_ratio"], params["group_size"])
    loss.backward()
    return {"loss": loss.detach(), "grad": scores.grad}


OPERATIONS = {
    "ssn.loss": loss_parts,
    "loss.ohem_hinge": hinge,
    "stpp.train": pool,
    "stpp.test": pool_scores,
    "ssn.head": head,
}


@pytest.mark.parametrize(("op", "params", "given_", "expected"), [c for c in cases("ssn") if c.values[0] in OPERATIONS])
def test_published_figures(op, params, given_, expected):
    actual = OPERATIONS[op](given_, params)
    wanted = {k: np.asarray(expected[k]).reshape(np.shape(v)) for k, v in actual.items()}
    check(actual, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif("VIDHUB_REFERENCE" not in os.environ, reason="needs the folder of references")
def test_published_network():
    folder = Path(os.environ["VIDHUB_REFERENCE"], "pipeline")
    about = json.loads((folder / "ssn_state_dict.json").read_text())
    weights = vidhub.get_weights("ssn_r50")
    assert weights.url == about["checkpoint"]
    model = vidhub.create_model("ssn_r50", **weights.arguments)
    load_state_dict(model, recipe_state(about["keys"], {}, 2.0))
    # the rearranged classifiers of the test are counted there too
    assert sum(p.numel() for p in model.parameters()) == about["parameters"] - 2048 * 201 - 201
    for case in cases("ssn"):
        op, _, given, expected = case.values
        if op != "ssn.end_to_end":
            continue
        frames = torch.from_numpy(given["imgs_7x7"]).repeat_interleave(32, -1).repeat_interleave(32, -2)
        ticks, scale = tensors(given["proposal_tick_list"], np.float32(given["scale_factor_list"]))
        with torch.inference_mode():
            out = model(frames.transpose(1, 2), ticks, scale)
        mean, std = torch.tensor(given["reg_norm_consts"])
        ours = {
            "activity_scores": out.activity,
            "completeness_scores": out.completeness,
            "bbox_preds": out.regression * std + mean,
        }
        for name, value in ours.items():
            wanted = np.asarray(expected[name])
            assert np.abs(value.numpy() - wanted).max() < 2e-4 * np.abs(wanted).max(), name


# ------------------------------------------------------------------------------------------------- proposals and frames

FOLDER = Path(os.environ.get("VIDHUB_REFERENCE", ""), "pipeline")


def parsed(given, params):
    found = read_proposals(FOLDER / given["file"])
    rows = [(v.video_id, v.num_frames, v.truth.tolist(), v.proposals.tolist()) for v in found]
    return {"videos": [dict(zip(("video_id", "num_frames", "gt", "proposals"), row, strict=True)) for row in rows]}


def denormalized(given, params):
    return {"text": denormalize_proposals(FOLDER / given["file"], given["num_frames"])}


def chosen(given, params):
    names = {
        "positive_iou": "positive_iou_threshold",
        "incomplete_iou": "incomplete_iou_threshold",
        "incomplete_overlap": "incomplete_overlap_threshold",
        "background_iou": "background_iou_threshold",
        "background_coverage": "background_coverage_threshold",
    }
    options = {ours: params["assigner"][theirs] for ours, theirs in names.items()}
    videos = read_proposals(FOLDER / given["file"])
    kept = usable(videos)
    whole = {v.video_id: v for v in videos}
    found = [training_proposals(whole[v.video_id], **options) for v in kept]

    def rows(name):
        return [(v.video_id, r[3], r[4], r[0], r[1], r[2]) for v, f in zip(kept, found, strict=True)
                for r in getattr(f, name).tolist()]  # fmt: skip

    targets = np.concatenate([f.targets for f in found])
    by_class = {}
    for video in kept:
        for label, start, end in video.truth.tolist():
            times = [start / video.num_frames, end / video.num_frames]
            by_class.setdefault(str(int(label) - 1), {}).setdefault(video.video_id, []).append(times)
    return {
        "video_ids": [v.video_id for v in kept],
        "proposals": [[(r[3], r[4], r[0], r[1], r[2]) for r in v.proposals.tolist()] for v in kept],
        "positives": [(*row, *t) for row, t in zip(rows("positive"), targets.tolist(), strict=True)],
        "incompletes": rows("incomplete"),
        "backgrounds": rows("background"),
        "reg_norm_consts": target_statistics(found),
        "gts_by_class": by_class,
    }


def ticks(given, params):
    video = usable(read_proposals(FOLDER / given["file"]))[given["video_index"]]
    margin = params["aug_ratio"] if isinstance(params["aug_ratio"], list) else [params["aug_ratio"]] * 2
    found = tick_proposals(
        video.fractions,
        video.num_frames,
        interval=params["test_interval"],
        margin=tuple(margin),
        clip_len=params["clip_len"],
        stride=params["frame_interval"],
    )
    return {
        "video_id": video.video_id,
        "total_frames": video.num_frames,
        "frame_inds": found.frames.ravel() + params["start_index"],
        "relative_proposal_list": video.fractions,
        "scale_factor_list": found.scale_factors,
        "proposal_tick_list": found.ticks,
    }


def detect(given, params):
    videos = usable(read_proposals(FOLDER / given["file"]))
    before = [{} for _ in range(given["num_classes"])]
    for i, video in enumerate(videos):
        changes = given["bbox_preds"][i] if params["use_regression"] else None
        scores = given["activity_scores"][i], given["completeness_scores"][i]
        found = ssn_detections(video.fractions, *scores, changes, top_k=params["top_k"])
        for c, rows in found.items():
            before[c][video.video_id] = rows
    after = [{v: ssn_segments(rows, params["nms"]) for v, rows in found.items()} for found in before]
    thresholds = np.arange(1, 10) / 10
    ap = []
    for c, found in enumerate(after):
        truth = {v.video_id: [r[1:] / v.num_frames for r in v.truth if r[0] == c + 1] for v in videos}
        ap.append(average_precision({k: v for k, v in truth.items() if v},
                                    {k: v[:, :3] for k, v in found.items()}, thresholds))  # fmt: skip
    scores = {f"mAP@{t:.02f}": v for t, v in zip(thresholds, np.mean(ap, 0), strict=True)}
    return {"detections_before": before, "detections_after": after, "mAP": scores}


FILED = {
    "ssn.parse_file": parsed,
    "ssn.denormalize": denormalized,
    "ssn.dataset": chosen,
    "ssn.test_frames": ticks,
    "ssn.evaluate": detect,
}


def close(actual, wanted, where):
    """Nested lists and tables of numbers and words."""
    if isinstance(actual, dict):
        assert actual.keys() == wanted.keys(), where
        for key in actual:
            close(actual[key], wanted[key], f"{where}.{key}")
    elif isinstance(actual, str):
        assert actual.strip() == wanted.strip(), where
    elif not isinstance(actual, (list, tuple, np.ndarray)):
        assert float(actual) == pytest.approx(float(wanted), rel=2e-5, abs=1e-5), where
    else:
        assert len(actual) == len(wanted), where
        for i, (a, w) in enumerate(zip(actual, wanted, strict=True)):
            close(a, w, f"{where}[{i}]")


@pytest.mark.skipif("VIDHUB_REFERENCE" not in os.environ, reason="needs the folder of references")
@pytest.mark.parametrize(("op", "params", "given_", "expected"), [c for c in cases("ssn") if c.values[0] in FILED])
def test_published_proposals(op, params, given_, expected):
    for key, value in FILED[op](given_, params).items():
        close(value, expected[key], key)


def stages(given, params, expected):
    for proposal in expected["proposals"]:
        found = stage_proposal(
            proposal["start"],
            proposal["end"],
            given["total_frames"],
            segments=(params["aug_segments"][0], params["body_segments"], params["aug_segments"][1]),
            margin=(params["aug_ratio"],) * 2,
            clip_len=params["clip_len"],
            stride=params["frame_interval"],
        )
        close(found.frames.ravel() + 1, proposal["frame_inds"], "frame_inds")
        close(found.scale_factors, proposal["scale_factors"], "scale_factors")


@pytest.mark.parametrize(
    ("params", "given_", "expected"), [pytest.param(*c.values[1:], id=c.id) for c in cases("ssn")
                                       if c.values[0] == "ssn.train_stage"]
)  # fmt: skip
def test_published_stages(params, given_, expected):
    stages(given_, params, expected)


@pytest.mark.parametrize(
    ("op", "params", "given_", "expected"),
    [c for c in cases("ssn") if c.values[0] in ("ssn.perform_regression", "ssn.temporal_nms")],
)
def test_published_rows(op, params, given_, expected):
    rows = np.array(given_["detections"])
    if op == "ssn.temporal_nms":
        found = nms(rows, params["threshold"])
    else:
        found = np.concatenate((regress(rows[:, :2], rows[:, 3:]), rows[:, 2:]), 1)
    close(found, expected["detections"], "detections")


def test_a_broken_file_is_named_with_its_line(tmp_path):
    (tmp_path / "a.txt").write_text("# 0\nvideo\n10\n1\n1\n1 2\n0\n")
    with pytest.raises(InputError, match=r"line 6: expected 3 values"):
        read_proposals(tmp_path / "a.txt")


def test_the_background_is_no_class_of_a_checkpoint():
    model, other = (vidhub.create_model("ssn_r50", backbone="resnet10t", num_classes=n) for n in (5, 7))
    with pytest.raises(WeightsError, match="the checkpoint has 7 classes and the model 5"):
        load_state_dict(model, other.state_dict())
