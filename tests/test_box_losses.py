"""Losses and targets of boxes: published figures and properties."""

import pytest
import torch
from pipeline import cases, check

from vidhub.engine.box_losses import assign_boxes, box_loss, box_recall_precision, box_targets


def loss(params, given, _):
    labels = []
    for image in given["images"]:
        rows = torch.tensor(image["labels"]).reshape(-1, params["num_classes"])
        labels.append(box_targets(rows, image["num_negative"])[0])
    arguments = {"multilabel": params["multilabel"], "background": params["background_class"]}
    logits, labels = torch.tensor(given["logits"]), torch.cat(labels)
    value = box_loss(logits, labels, alpha=params["focal_alpha"], gamma=params["focal_gamma"], **arguments)
    return box_recall_precision(logits, labels, topk=params["topk"], **arguments) | {"loss_action_cls": value.item()}


def targets(params, given, expected):
    classes = len(expected["labels"][0])
    pairs = zip(given["counts_positive_negative"], given["positive_labels"], strict=True)
    found = [
        box_targets(
            torch.tensor(rows).reshape(-1, classes), n, positive_weight=params["pos_weight"], weigh_lone_positives=False
        )
        for (_, n), rows in pairs
    ]
    labels, weights = (torch.cat(parts) for parts in zip(*found, strict=True))
    return {"labels": labels.numpy(), "label_weights": weights.numpy()}


def assignment(params, given, _):
    proposals, boxes, labels = (torch.tensor(given[k]) for k in ("proposals", "gt_boxes", "gt_labels"))
    found = assign_boxes(
        proposals,
        boxes,
        labels,
        positive=params["pos_iou_thr"],
        negative=params["neg_iou_thr"],
        min_positive=params["min_pos_iou"],
        match_low_quality=params.get("match_low_quality", True),
        all_best=params.get("gt_max_assign_all", True),
    )
    return {"gt_inds": found.matched.numpy(), "max_overlaps": found.overlaps.numpy(), "labels": found.labels.numpy()}


KINDS = {"ava_box_loss": loss, "ava_box_targets": targets, "ava_assigner": assignment}
PUBLISHED = [case for case in cases("losses") if case.values[0] in KINDS]


@pytest.mark.parametrize(("op", "params", "given", "expected"), PUBLISHED)
def test_published_figures(op, params, given, expected):
    check(KINDS[op](params, given, expected), expected, rtol=1e-5, atol=1e-5)


def test_no_labelled_box_is_no_loss():
    logits = torch.zeros(3, 4, requires_grad=True)
    value = box_loss(logits, torch.zeros(3, 4))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


def test_positives_keep_their_weight_without_negatives():
    labels, weights = box_targets(torch.ones(2, 3), 0, positive_weight=0.5)
    assert labels.shape == (2, 3)
    assert weights.tolist() == [0.5, 0.5]


def test_labels_share_a_box_or_count_in_full():
    logits, labels = torch.tensor([[0.0, 1, 2]]), torch.tensor([[1.0, 1, 0]])
    shared = box_loss(logits, labels, multilabel=False, background=False)
    full = box_loss(logits, labels, multilabel=False, background=False, share_labels=False)
    assert full == pytest.approx(2 * shared)


def test_boxes_without_an_area_overlap_nothing():
    point = torch.tensor([[2.0, 2, 2, 2]])
    found = assign_boxes(torch.cat((point, torch.tensor([[1.0, 1, 3, 3]]))), point, torch.ones(1, 3))
    assert found.overlaps.tolist() == [0, 0]
    assert found.matched.tolist() == [0, 0]


def test_nothing_to_assign():
    found = assign_boxes(torch.ones(2, 4), torch.zeros(0, 4), torch.zeros(0, 3))
    assert found.matched.tolist() == [0, 0]
    assert found.labels.shape == (2, 3)
