"""Losses, averaging over views, mixup and cutmix: published figures, gradients and properties."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pipeline import cases, check
from torch.nn.functional import one_hot

from vidhub.engine import losses
from vidhub.engine.scoring import average_views
from vidhub.errors import InputError
from vidhub.transforms.mixing import cut_box, cutmix, mixup, random_mix


def gradient_of(loss, given_, params, **arguments):
    logits = torch.tensor(given_["logits"], requires_grad=True)
    labels = torch.tensor(given_["labels"])
    weight = params.get("class_weight")
    if weight is not None:
        arguments["weight"] = torch.tensor(weight)
    value = loss(logits, labels, **arguments) * params["loss_weight"]
    value.backward()
    return {"loss": value.item(), "grad": logits.grad.numpy()}


def focal(given_, params):
    found = gradient_of(
        lambda x, y: losses.class_balanced_focal(
            x, y, params["samples_per_cls"], beta=params["beta"], gamma=params["gamma"]
        ),
        given_,
        params,
    )
    return found | {"class_weights": losses.class_balanced_weights(params["samples_per_cls"], params["beta"]).numpy()}


def tags(given_, params):
    """The reference gives zeros and a mask where ours takes NaN."""
    categories = dict(zip(params["categories"], params["category_nums"], strict=True))
    target = torch.tensor(given_["labels"])
    target[torch.tensor(given_["mask"]) == 0] = torch.nan
    arguments = {"masked": params["with_mask"], "reduction": params["reduction"]}
    if params["loss_type"] == "all":
        return {
            "loss_cls": losses.hvu_loss(
                torch.tensor(given_["logits"]), target, categories, individual=False, **arguments
            )
            * params["loss_weight"]
        }
    arguments["weights"] = params["category_loss_weights"]
    logits = torch.tensor(given_["logits"])
    found, shares = losses.hvu_category_losses(logits, target, categories, **arguments)
    total = losses.hvu_loss(logits, target, categories, **arguments) * params["loss_weight"]
    return (
        {f"{name}_LOSS": value for name, value in found.items()}
        | {f"{name}_LOSS_weight": value for name, value in shares.items()}
        | {"loss_cls": total}
    )


def head(given_, params):
    logits, labels = torch.tensor(given_["logits"]), torch.tensor(given_["labels"])
    function = {"CrossEntropyLoss": losses.cross_entropy, "BCELossWithLogits": losses.binary_cross_entropy}[
        params["loss"]
    ]
    return {"loss_cls": function(logits, labels, smoothing=params["label_smooth_eps"])}


def views(given_, params):
    logits = torch.tensor(given_["logits"]).unflatten(0, (-1, given_["views_per_sample"]))
    return {"scores": average_views(logits, params["average_clips"])}


def mixed(function, given_, params, *more):
    targets = one_hot(torch.tensor(given_["labels"]), params["num_classes"]).float()
    images = torch.tensor(given_["images"])
    images, targets = function(images, targets, given_["lam"], torch.tensor(given_["permutation"]), *more)
    return {"images": images, "labels": targets}


def cut(given_, params):
    images = given_["images"]
    box = cut_box(images.shape[-2:], given_["lam"], given_["centre_xy"])
    return mixed(cutmix, given_, params, given_["centre_xy"]) | {"box_x1y1x2y2": box}


OPERATIONS = {
    "cross_entropy.hard": lambda g, p: gradient_of(losses.cross_entropy, g, p),
    "cross_entropy.soft": lambda g, p: gradient_of(losses.cross_entropy, g, p),
    "bce_with_logits": lambda g, p: gradient_of(losses.binary_cross_entropy, g, p),
    "cb_focal": focal,
    "hvu": tags,
    "head_loss": head,
    "average_clip": views,
    "mixup": lambda g, p: mixed(mixup, g, p),
    "cutmix": cut,
}


def ours(operation, params, *_):
    return operation in OPERATIONS and params.get("average_clips", "") is not None  # None: no average at all


@pytest.mark.parametrize(("operation", "params", "given_", "expected"), [c for c in cases("losses") if ours(*c.values)])
def test_published_figures(operation, params, given_, expected):
    found = OPERATIONS[operation](given_, params)
    assert set(found) == {key for key in expected if not key.endswith("_acc")}
    check(found, expected, rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------------------------------------------------- properties


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_hard_and_soft_targets_agree(smoothing):
    logits, labels = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 4, 0])
    hard = losses.cross_entropy(logits, labels, smoothing=smoothing)
    soft = losses.cross_entropy(logits, one_hot(labels, 5).float(), smoothing=smoothing)
    expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(hard, soft)
    torch.testing.assert_close(hard, expected)


def test_tags_that_are_not_annotated_get_no_gradient():
    logits = torch.zeros(2, 3, requires_grad=True)
    target = torch.tensor([[1, 0, torch.nan], [torch.nan, torch.nan, 1]])
    losses.hvu_loss(logits, target, {"a": 2, "b": 1}).backward()
    assert logits.grad[target.isnan()].abs().max() == 0
    assert logits.grad[~target.isnan()].abs().min() > 0


def test_categories_must_fit():
    with pytest.raises(InputError, match="2 tags, the logits 3"):
        losses.hvu_loss(torch.zeros(1, 3), torch.zeros(1, 3), {"a": 2})


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 39), st.integers(0, 39))
def test_the_box_lies_inside_and_is_no_larger_than_said(height, width, lam, x, y):
    x, y = x % width, y % height
    x1, y1, x2, y2 = cut_box((height, width), lam, (x, y))
    assert 0 <= x1 <= x2 <= width
    assert 0 <= y1 <= y2 <= height
    assert (x2 - x1) * (y2 - y1) <= (1 - lam) * height * width + 1e-6


@given(st.integers(1, 7), st.sampled_from([(0.3, 0.0), (0.0, 1.0), (0.5, 0.5)]), st.integers(0, 2**31))
def test_mixed_targets_still_sum_to_one_and_draws_do_not_depend_on_the_batch(count, alphas, seed):
    clips = torch.arange(count * 2 * 36, dtype=torch.float32).reshape(count, 1, 2, 6, 6)
    targets = torch.eye(count)
    draw = {"mixup_alpha": alphas[0], "cutmix_alpha": alphas[1]}
    mixed_clips, mixed_targets = random_mix(clips, targets, **draw, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(mixed_targets.sum(1), torch.ones(count))
    assert mixed_clips.shape == clips.shape
    pair_clips, pair_targets = random_mix(clips[:2], targets[:2], **draw, generator=torch.Generator().manual_seed(seed))
    if count >= 2:
        assert torch.equal(pair_clips, mixed_clips[:2])
        assert torch.equal(pair_targets, mixed_targets[:2])
    if count % 2:
        torch.testing.assert_close(mixed_clips[-1], clips[-1])


def test_all_frames_share_the_box():
    clips = torch.stack([torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)])
    mixed_clips, targets = cutmix(clips, torch.eye(2), 0.5, torch.tensor([1, 0]), (4, 4))
    assert (mixed_clips[0, 0] == mixed_clips[0, 0, :1]).all()
    assert mixed_clips[0].mean() == pytest.approx(targets[0, 1].item())


def test_shares_follow_the_beta_distribution():
    generator = torch.Generator().manual_seed(0)
    clips, targets = torch.zeros(2, 1, 1, 1, 1), torch.eye(2)
    drawn = np.array([random_mix(clips, targets, mixup_alpha=0.5, generator=generator)[1][0, 0] for _ in range(2000)])
    assert drawn.mean() == pytest.approx(0.5, abs=0.03)
    assert drawn.var() == pytest.approx(1 / 8, abs=0.01)  # of Beta(a, a): 1 / (4 (2a + 1))


@pytest.mark.parametrize("alphas", [(0.0, 0.0), (-1.0, 0.5)])
def test_mixing_needs_an_alpha(alphas):
    with pytest.raises(InputError, match="alpha above 0"):
        random_mix(torch.zeros(2, 1), torch.eye(2), mixup_alpha=alphas[0], cutmix_alpha=alphas[1])
