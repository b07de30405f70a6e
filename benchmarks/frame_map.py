"""Seconds that AVA's frame mAP takes, beside plain loops over boxes: python benchmarks/frame_map.py [boxes]"""

import sys
import time

import numpy as np

from vidhub.metrics.ava import Boxes, box_iou, frame_map, interpolated_precision


def make(rng: np.random.Generator, count: int, per_frame: int) -> Boxes:
    corner = rng.uniform(0, 0.5, (count, 2))
    boxes = np.concatenate((corner, corner + rng.uniform(0.2, 0.5, (count, 2))), 1)
    frames = [("v", i // per_frame) for i in range(count)]
    return Boxes(frames, boxes, rng.integers(1, 11, count), rng.permutation(count) / count)


def by_loops(found: Boxes, truth: Boxes) -> float:
    """For every frame and class, one detection after the other."""
    of_truth, of_found, values = {}, {}, []
    for boxes, table in ((truth, of_truth), (found, of_found)):
        for i, frame in enumerate(boxes.frames):
            table.setdefault((int(boxes.classes[i]), frame), []).append(i)
    for label in sorted(set(truth.classes.tolist())):
        right, scores = [], []
        for (of_class, frame), rows in of_found.items():
            if of_class != label:
                continue
            actual, taken = of_truth.get((label, frame), []), set()
            for i in sorted(rows, key=lambda i: -found.scores[i]):
                overlaps = [box_iou(found.boxes[i], truth.boxes[j]) for j in actual]
                best = int(np.argmax(overlaps)) if overlaps else -1
                hit = bool(overlaps) and overlaps[best] >= 0.5 and best not in taken
                if hit:
                    taken.add(best)
                right.append(hit)
                scores.append(found.scores[i])
        total = int((truth.classes == label).sum())
        values.append(interpolated_precision(np.array(scores), np.array(right, bool), total))
    return float(np.mean(values))


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rng = np.random.default_rng(0)
    truth, found = make(rng, count // 5, 4), make(rng, count, 20)
    times, values = [], []
    for function in (by_loops, lambda found, truth: frame_map(found, truth).overall):
        start = time.perf_counter()
        values.append(function(found, truth))
        times.append(time.perf_counter() - start)
    assert abs(values[0] - values[1]) < 1e-9
    slow, fast = times
    print(f"{count} detections: loops {slow:.2f} s, frame_map {fast:.2f} s, {slow / fast:.0f} times faster")
