"""Linking boxes into tubes, and their score."""

import numpy as np
import pytest

from vidhub.metrics import tubes


def tube(label, first, last, shift=0.0, score=1.0, video="v"):
    frames = np.arange(first, last)
    return tubes.Tube(video, label, frames, np.tile([shift, 0, shift + 10, 10.0], (len(frames), 1)), score)


def test_video_map():
    assert tubes.tube_iou(tube(1, 0, 10), tube(1, 0, 10)) == 1
    assert tubes.tube_iou(tube(1, 0, 10), tube(1, 5, 15)) == pytest.approx(1 / 3)
    assert tubes.tube_iou(tube(1, 0, 10), tube(1, 0, 10, shift=5)) == pytest.approx(1 / 3)
    assert tubes.tube_iou(tube(1, 0, 10), tube(1, 0, 10, video="w")) == 0
    truth = [tube(1, 0, 10), tube(1, 0, 10, shift=50), tube(2, 0, 10)]
    assert tubes.video_map([tube(1, 0, 10, score=0.9), tube(1, 0, 9, score=0.8), tube(2, 0, 10)], truth) == 0.75
    assert tubes.video_map([], truth) == 0


def test_a_class_is_linked_to_tubes():
    # two people walk past each other far apart; the second is lost for three frames, then for ten
    frames, boxes, scores = [], [], []
    for t in range(40):
        seen = [(t, 0, 0.9)] + ([(60 - t, 40, 0.5)] if not (10 <= t < 13 or 20 <= t < 30) else [])
        for x, y, score in seen:
            frames.append(t)
            boxes.append([x, y, x + 20, y + 20])
            scores.append(score)
    table = np.array(frames), np.array(boxes, float), np.array(scores)
    shuffled = np.random.default_rng(0).permutation(len(frames))
    found = tubes.link_boxes("v", 3, *(column[shuffled] for column in table))
    assert [(t.frames[0], t.frames[-1], t.score) for t in found] == [(0, 39, 0.9), (0, 19, 0.5), (30, 39, 0.5)]
    assert found[1].frames.tolist() == [*range(10), *range(13, 20)]
    assert (found[0].boxes[:, 1] == 0).all()
    assert tubes.link_boxes("v", 3, *(column[:0] for column in table)) == []


def test_a_jump_begins_a_new_tube():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60.0]])
    found = tubes.link_boxes("v", 0, np.arange(3), boxes, np.full(3, 0.5))
    assert [t.frames.tolist() for t in found] == [[0, 1], [2]]
