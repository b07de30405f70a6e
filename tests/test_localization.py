"""Temporal localization: labels, proposals and what becomes of them, against published figures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pipeline import cases, check

import vidhub
from vidhub.engine import postprocess
from vidhub.engine import segment_losses as losses
from vidhub.models.bmn import BMNOutput, sample_mask
from vidhub.models.bsn import PEM, TEM
from vidhub.models.layers.localizer import PointOutput
from vidhub.transforms import localization
from vidhub.weights.types import SegmentConfig


def config_of(params):
    return SegmentConfig(
        soft_nms_alpha=params.get("alpha", params.get("soft_nms_alpha")),
        soft_nms_low=params.get("low_threshold", params.get("soft_nms_low_threshold")),
        soft_nms_high=params.get("high_threshold", params.get("soft_nms_high_threshold")),
        top_k=params.get("top_k", params.get("post_process_top_k")),
        frame_interval=params["feature_extraction_interval"],
    )


def in_seconds(proposals, params, given):
    info = given.get("video_info", given)
    found = postprocess.to_segments(proposals, config_of(params), info["duration_second"], info["duration_frame"])
    return {"segments": found.segments, "scores": found.scores}


def iou(given, params):
    both = localization.overlap([given["segment"]], given["targets"])
    return {"iou": both[0][0], "iop": both[1][0]}


def anchors(given, params):
    steps = given["temporal_dim"]
    around, rows = localization.boundary_anchors(steps), localization.candidate_segments(steps).reshape(-1, 2)
    mask = localization.valid_segments(steps)
    return {
        "anchors_tmin": around[:, 0],
        "anchors_tmax": around[:, 1],
        "match_map_first": rows[: steps + 2],
        "match_map_last": rows[-3:],
        "match_map_rows": len(rows),
        "match_map_sum": rows.sum(0),
        "bm_mask": mask,
        "bm_mask_row_sums": mask.sum(1).astype(int),
    }


def bmn_labels(given, params):
    labels = localization.bmn_labels(given["gt_segments"], given["temporal_dim"])
    return dict(zip(("confidence", "start", "end"), labels, strict=True))


def masks(given, params):
    mask = sample_mask(*(given[k] for k in ("temporal_dim", "boundary_ratio", "num_samples", "num_samples_per_bin")))
    if "duration" not in given:
        return {"mask": mask.reshape(len(mask), -1)}
    wide = mask.astype(np.float64)
    return {
        "slice": mask[:, :, given["duration"], given["start"]],
        "total_sum": wide.sum(),
        "sum_of_squares": (wide**2).sum(),
        "nonzero": np.count_nonzero(mask),
    }


def soft_nms(given, params):
    rows = np.array(given["proposals"])[:, [0, 1, -1]]
    keys = ("alpha", "low_threshold", "high_threshold", "top_k")
    return {"kept": postprocess.soft_nms(rows, *(params[k] for k in keys))}


def after(given, params):
    return in_seconds(np.array(given["proposals"]), params, given)


def bmn_predict(given, params):
    proposals = postprocess.bmn_proposals(*(given[k][0] for k in ("confidence_map", "start", "end")))
    return in_seconds(proposals, params, given)


def tem_labels(given, params):
    steps = given["temporal_dim"]
    action, start, end = localization.tem_labels(given["gt_segments"], steps, given["boundary_ratio"])
    tmin, tmax = localization.steps_of(steps).T
    return {"action": action, "start": start, "end": end, "anchors_tmin": tmin, "anchors_tmax": tmax}


def loaded(model, given, params):
    state = params.get("parameters") or given["parameters"]
    model.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in state.items()})
    return model


def tem_predict(given, params):
    model = loaded(TEM(params["tem_feat_dim"], hidden_dim=params["tem_hidden_dim"]), given, params)
    with torch.inference_mode():
        scores = model(torch.from_numpy(given["features"])).numpy()
    times = localization.steps_of(scores.shape[2])
    return {"rows": [np.concatenate((video.T, times), 1) for video in scores]}


def pem_of(given, params):
    state = params.get("parameters") or given["parameters"]
    return loaded(PEM(state["fc1.weight"].shape[1], hidden_dim=len(state["fc1.weight"])), given, params)


def pem_predict(given, params):
    with torch.inference_mode():
        scores = pem_of(given, params)(torch.from_numpy(np.asarray(given["bsp_feature"]))).numpy()[:, 0]
    rows = np.array(given["tmin_tmax_startscore_endscore"])
    rows = np.concatenate((rows[:, :2], (scores * rows[:, 2] * rows[:, 3])[:, None]), 1)
    return in_seconds(rows, params, given)


def candidates(given, params):
    info = given["video_info"]
    rows = localization.bsn_proposals(given["tem_scores"].T.astype(np.float64), params["peak_threshold"])
    if info.get("annotations"):
        truth = localization.to_fractions(
            [a["segment"] for a in info["annotations"]],
            info["duration_second"],
            info["duration_frame"],
            info["feature_frame"],
            clamp=False,
        )
        rows = np.column_stack((rows, *localization.best_overlap(rows[:, :2], truth)))
    return {"proposals": rows, "num_proposals": len(rows)}


def descriptions(given, params):
    features = localization.bsp_features(
        given["tem_scores"][:, 0],
        given["proposals"][: params["top_k"]],
        boundary_ratio=params["bsp_boundary_ratio"],
        num_action=params["num_sample_action"],
        num_start=params["num_sample_start"],
        num_end=params["num_sample_end"],
        num_interpolated=params["num_sample_interp"],
    )
    return {"features": features, "shape": features.shape}


def fractions(given, params):
    keys = ("segments", "duration_second", "duration_frame", "feature_frame")
    return {"gt_bbox": localization.to_fractions(*(given[k] for k in keys))}


OPERATIONS = {
    "temporal_iou": iou,
    "bmn.anchors": anchors,
    "bmn.labels": bmn_labels,
    "bmn.sample_mask": masks,
    "bmn.sample_mask_100": masks,
    "soft_nms": soft_nms,
    "post_processing": after,
    "bmn.predict": bmn_predict,
    "tem.labels": tem_labels,
    "tem.predict": tem_predict,
    "bsn.candidate_proposals": candidates,
    "bsn.bsp_feature": descriptions,
    "gt_fractions": fractions,
    "pem.predict": pem_predict,
}
LOOSE = {"bmn.predict", "pem.predict", "bsn.bsp_feature", "tem.predict"}  # computed in float32 there


@pytest.mark.parametrize(
    ("op", "params", "given_", "expected"), [c for c in cases("localization") if c.values[0] in OPERATIONS]
)
def test_published_figures(op, params, given_, expected):
    check(OPERATIONS[op](given_, params), expected, **({"rtol": 1e-5, "atol": 2e-5} if op in LOOSE else {}))


# -------------------------------------------------------------------------------------------------------------- losses


def logistic(given, params):
    scores, labels = (torch.from_numpy(np.float32(given[k])) for k in ("scores", "labels"))
    return {"loss": losses.binary_logistic(scores, labels.view_as(scores), params["threshold"])}


def bmn_losses(given, params):
    steps = given["temporal_dim"]
    labels = [localization.bmn_labels(s, steps) for s in given["gt_segments"]]
    labels = [torch.from_numpy(np.stack(column)) for column in zip(*labels, strict=True)]
    output = BMNOutput(*(torch.from_numpy(given[k]) for k in ("pred_bm", "pred_start", "pred_end")))
    draws = tuple(torch.from_numpy(given[k]) for k in ("uniform_mid", "uniform_low"))
    found = losses.bmn_loss(output, *labels, draws)
    named = {"loss": "loss", "tem_loss": "boundary", "pem_reg_loss": "regression", "pem_cls_loss": "classification"}
    return {theirs: found[ours] for theirs, ours in named.items()}


def tem_losses(given, params):
    steps, ratio = params["temporal_dim"], params["boundary_ratio"]
    labels = torch.from_numpy(np.stack([localization.tem_labels(s, steps, ratio) for s in given["gt_segments"]]))
    found = losses.tem_loss(torch.from_numpy(given["tem_output"]), labels, params["match_threshold"])
    return {f"loss_{name}": found[name] for name in ("action", "start", "end")}


def pem_losses(given, params):
    scores = pem_of(given, params)(torch.from_numpy(given["bsp_feature"])).detach()
    return {"loss": losses.pem_loss(scores, torch.from_numpy(given["reference_iou"]))}


LOSSES = {"loss.binary_logistic": logistic, "loss.bmn": bmn_losses, "loss.tem": tem_losses, "loss.pem": pem_losses}


@pytest.mark.parametrize(
    ("op", "params", "given_", "expected"), [c for c in cases("localization") if c.values[0] in LOSSES]
)
def test_published_losses(op, params, given_, expected):
    check(LOSSES[op](given_, params), expected, rtol=1e-4, atol=1e-6)


def test_points_stand_for_the_shortest_segment_around_them():
    points = torch.tensor([[4.0, 0, 100, 1], [5.0, 0, 100, 1], [5.0, 50, 100, 1]])
    classes, offsets = losses.assign_points(points, torch.tensor([[0.0, 10], [3, 6]]), torch.tensor([0, 1]), 2)
    assert classes.tolist() == [[0, 1], [0, 1], [0, 0]]
    assert offsets[:2].tolist() == [[1, 2], [2, 1]]
    assert losses.assign_points(points, torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), 2)[0].sum() == 0


def test_offsets_that_are_right_cost_nothing():
    offsets = torch.rand(5, 2) + 0.1
    iou, distance_iou = losses.offset_iou(offsets, offsets)
    torch.testing.assert_close(iou, torch.ones(5))
    torch.testing.assert_close(distance_iou, torch.ones(5))


def point_output(offsets):
    """Logits of 0 for points of a video, and their offsets."""
    points = torch.tensor([[float(i), 0, 100, 1] for i in range(offsets.shape[1])])
    mask = torch.ones(offsets.shape[:2], dtype=torch.bool)
    return PointOutput(torch.zeros(*offsets.shape[:2], 2, requires_grad=True), offsets, points, mask)


def test_iou_weighs_positive_cells_alone():
    """A point that should tell one of two classes, with an IoU of 0.5."""
    output = point_output(torch.full((1, 1, 2, 2), 1.0))
    classes, offsets = torch.tensor([[[1.0, 0.0]]]), torch.full((1, 1, 2), 2.0)
    found = losses.point_loss(output, classes, offsets, torch.tensor(1.0), iou_power=0.2)
    focal = 0.25 * np.log(2) * np.array([0.25, 0.75])  # of the cell that is positive, and of the other
    assert found["classification"].item() == pytest.approx(focal[0] * 0.5**0.2 + focal[1], rel=1e-5)


def test_offsets_learn_at_every_class_of_a_point():
    offsets = torch.full((1, 1, 2, 2), 1.0, requires_grad=True)
    losses.point_loss(point_output(offsets), torch.ones(1, 1, 2), torch.full((1, 1, 2), 2.0), torch.tensor(1.0))[
        "regression"
    ].backward()
    assert (offsets.grad < 0).all()


def test_the_weight_by_iou_teaches_offsets_too():
    offsets = torch.full((1, 1, 2, 2), 1.0, requires_grad=True)
    classes = torch.tensor([[[1.0, 0.0]]])
    found = losses.point_loss(
        point_output(offsets), classes, torch.full((1, 1, 2), 2.0), torch.tensor(1.0), iou_power=0.2
    )
    found["classification"].backward()
    assert (offsets.grad[0, 0, 0] > 0).all()
    assert (offsets.grad[0, 0, 1] == 0).all()


def test_survivors_of_soft_nms_keep_their_own_boundaries():
    """Points that find nearly the same segment."""
    points = np.array([[20 + i, 0, 100, 1] for i in range(3)], np.float32)
    offsets = np.array([[5, 20], [6.5, 19.2], [7.8, 18.1]], np.float32)
    scores, config = np.array([[0.9], [0.8], [0.7]], np.float32), vidhub.create_model("actionformer", dim=8).data_config
    found = postprocess.point_segments(scores, offsets, points, config, 64, 64.0)
    assert len(np.unique(found.segments[:, 0])) == 3
    moved = postprocess.point_segments(scores, offsets, points, replace(config, voting=0.7), 64, 64.0)
    assert len(np.unique(moved.segments[:, 0].round(3))) == 1


def test_features_of_windows_lie_where_the_windows_are():
    """16 frames every 4 frames, 25 a second: the middle of the fourth step is at frame 20."""
    config = SegmentConfig(num_steps=None, feature_stride=4, feature_window=16, top_k=5)
    points, offsets = np.array([[3, 0, 100, 1]], np.float32), np.array([[1, 2]], np.float32)
    found = postprocess.point_segments(np.array([[0.9]], np.float32), offsets, points, config, 10, 2.0, 25.0)
    np.testing.assert_allclose(found.segments, [[16 / 25, 28 / 25]], rtol=1e-6)
    # of unknown rate: ten windows are 52 frames, which fill the two seconds
    found = postprocess.point_segments(np.array([[0.9]], np.float32), offsets, points, config, 10, 2.0)
    np.testing.assert_allclose(found.segments, [[16 / 26, 28 / 26]], rtol=1e-6)


def test_a_single_step_has_no_proposals():
    assert localization.bsn_proposals(np.ones((3, 1))).shape == (0, 5)
    assert len(postprocess.bmn_proposals(np.ones((2, 1, 1)), np.ones(1), np.ones(1))) == 0


def test_ties_and_thresholds_that_are_just_reached_are_as_published():
    # both ends of the video; equal scores keep their order
    config = SegmentConfig(soft_nms_low=1, soft_nms_high=1, top_k=2)
    found = postprocess.to_segments(np.array([[-0.2, 0.1, 0.5], [0.2, 0.4, 0.5], [0.6, 1.5, 0.5]]), config, 10.0)
    np.testing.assert_allclose(found.segments, [[0, 1], [2, 4]])
    assert len(postprocess.to_segments(np.zeros((0, 7)), config, 10.0).scores) == 0
    # an IoU of 0.5 does not exceed 0.5, whatever the rounding
    rows = np.array([[0.2, 0.7, 0.9], [0.1, 0.35, 0.8], [-0.0, 0.5, 0.6]])
    np.testing.assert_array_equal(postprocess.soft_nms(rows, 3.0, 0.5, 0.5, 5)[:, 2], rows[:, 2])
    assert len(postprocess.nms(np.array([[0, 1, 0.9], [0, 0.5, 0.8], [0.5, 0.5, 0.7]]), 0.5)) == 3
    assert len(postprocess.nms(np.array([[0.5, 0.5, 0.7], [0.6, 0.6, 0.1]]), 0.5)) == 1


def test_of_equal_scores_at_the_limit_the_last_stay():
    shown = np.zeros((3, 2))
    found = postprocess.ssn_detections(np.array([[0, 0.1], [0.2, 0.3], [0.4, 0.5]]), shown, np.zeros((3, 1)), top_k=2)
    assert found[0][:, 0].tolist() == [0.2, 0.4]


def test_where_nothing_is_positive_the_mean_is_over_one_more():
    scores, where = torch.full((2, 3), 0.5), torch.tensor([[1.0, 1, 1], [1, 0, 0]])
    wanted = -0.5 * 5 / 4 * 4 * np.log(0.5 + 1e-5) / 5
    assert losses.binary_logistic(scores, torch.zeros(2, 3), 0.9, where).item() == pytest.approx(wanted, rel=1e-6)


def test_segments_that_only_touch_overlap_as_published():
    # the gap between 0.1 * 3 and 0.3 is part of what is learnt
    assert localization.candidate_segments(10)[2, 0].tolist() == [0.0, 0.30000000000000004]
    assert localization.bmn_labels([[0.3, 0.5]], 10)[0][2, 0] > 0
