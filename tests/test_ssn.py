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
from vidhub.engine import segment_losses as losses
from vidhub.models._checkpoint import load_state_dict
from vidhub.models.ssn import SSNHead, SSNOutput


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
