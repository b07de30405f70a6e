"""Soft-NMS and metrics of localization against the plain loops that they replace, on the same made-up data.

The loops go through proposals, thresholds and true segments one by one, as MMAction2's soft-NMS and the evaluation
scripts of ActivityNet do; those of soft-NMS are measured on a part of the videos. Results are compared, too. With the
Python of an environment that has MMAction2 1.2, its own functions take the place of the loops: its post-processing of
BMN, and its copies of ActivityNet's scripts.

    python benchmarks/localization.py
    python benchmarks/localization.py --mmaction2 PATH/bin/python
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import numpy as np
from peers import Peer

from vidhub.engine.postprocess import soft_nms, to_segments
from vidhub.metrics.segments import ACTIVITYNET_IOUS, Labelled, average_recall, detection_map
from vidhub.weights.types import SegmentConfig


def loop_soft_nms(rows, alpha: float, low: float, high: float, top_k: int):
    """As ``engine.postprocess.soft_nms``, one proposal after the other."""
    start, end, score = (list(column) for column in np.asarray(rows)[np.argsort(-rows[:, 2], kind="stable")].T.tolist())
    kept = []
    while score and len(kept) <= top_k:
        best = max(range(len(score)), key=score.__getitem__)
        s, e = start[best], end[best]
        for i in range(len(score)):
            if i != best:
                common = max(min(end[i], e) - max(start[i], s), 0.0)
                iou = common / (end[i] - start[i] + e - s - common)
                if iou > low + (high - low) * (e - s):
                    score[i] *= math.exp(-iou * iou / alpha)
        kept.append((s, e, score[best]))
        for column in (start, end, score):
            column.pop(best)
    return np.array(kept)


def loop_iou(start, end, targets):
    common = np.maximum(np.minimum(end, targets[:, 1]) - np.maximum(start, targets[:, 0]), 0)
    return common / (end - start + targets[:, 1] - targets[:, 0] - common)


def loop_map(truth, found, thresholds):
    """As ``metrics.segments.detection_map``: class by class, detection by detection, threshold by threshold."""
    classes = list(dict.fromkeys(label for given in truth.values() for label in given.labels))
    ap = np.zeros((len(thresholds), len(classes)))
    for c, name in enumerate(classes):
        own = {v: g.segments[np.array(g.labels) == name] for v, g in truth.items()}
        rows = [
            (score, v, *segment)
            for v, g in found.items()
            for segment, label, score in zip(g.segments, g.labels, g.scores, strict=True)
            if label == name
        ]
        rows.sort(key=lambda row: -row[0])
        taken = {v: np.zeros((len(thresholds), len(s)), bool) for v, s in own.items()}
        hits = np.zeros((len(thresholds), len(rows)))
        for i, (_, video, start, end) in enumerate(rows):
            if not len(own[video]):
                continue
            iou = loop_iou(start, end, own[video])
            for t, threshold in enumerate(thresholds):
                for j in iou.argsort()[::-1]:
                    if iou[j] < threshold:
                        break
                    if not taken[video][t, j]:
                        taken[video][t, j] = hits[t, i] = True
                        break
        total = sum(map(len, own.values()))
        for t in range(len(thresholds)):
            precision = hits[t].cumsum() / np.arange(1, len(rows) + 1)
            best = np.maximum.accumulate(precision[::-1])[::-1]
            ap[t, c] = (best * hits[t]).sum() / total
    return ap


def loop_recall(truth, proposals, limit, thresholds):
    """As ``metrics.segments.average_recall``: threshold by threshold, and for each all 100 numbers of proposals."""
    total = sum(map(len, proposals.values()))
    ratio = limit * len(truth) / total
    scores, lengths = [], []
    for video, segments in truth.items():
        rows = proposals[video][np.argsort(-proposals[video][:, 2], kind="stable")]
        rows = rows[: min(int(len(rows) * ratio), len(rows))]
        scores.append(np.stack([loop_iou(s, e, segments) for s, e, _ in rows], 1))
        lengths.append(len(rows))
    shares = np.arange(1, 101) / 100 * (limit * len(truth) / sum(lengths))
    recall = np.zeros((len(thresholds), 100))
    for t, threshold in enumerate(thresholds):
        for iou, length in zip(scores, lengths, strict=True):
            for k, share in enumerate(shares):
                number = min(int(length * share), length)
                recall[t, k] += np.count_nonzero((iou[:, :number] >= threshold).any(1))
    return recall / sum(map(len, truth.values()))


def made_up(videos: int, number: int, classes: int, g: np.random.Generator):
    """Segments of ``videos`` with 1 to 4 true ones each, and ``number`` detections near them."""
    truth, found = {}, {}
    for video in range(videos):
        start = g.uniform(0, 80, g.integers(1, 5))
        segments = np.stack((start, start + g.uniform(2, 40, len(start))), 1)
        labels = g.integers(0, classes, len(start))
        origin = g.integers(0, len(start), number)
        rows = segments[origin] + g.normal(0, 4, (number, 2))
        rows[:, 1] = np.maximum(rows[:, 1], rows[:, 0] + 0.5)
        truth[video] = Labelled(segments, labels.tolist())
        found[video] = Labelled(rows, labels[origin].tolist(), g.uniform(size=number))
    return truth, found


def timed(function, *args):
    started = time.perf_counter()
    return function(*args), time.perf_counter() - started


def report(name: str, ours: float, theirs: float, same: bool, who: str = "loops") -> None:
    times = f"ours {ours:9.4f} s   {who} {theirs:9.4f} s   {theirs / ours:7.1f} x"
    print(f"{name:50} {times}   {'same' if same else 'NOT THE SAME'}")


def against_loops(rows: np.ndarray, truth: dict, found: dict, loop_videos: int) -> None:
    settings = (0.4, 0.5, 0.9, 100)
    ours, seconds = timed(lambda: [soft_nms(video, *settings) for video in rows])
    loops, loop_seconds = timed(lambda: [loop_soft_nms(video, *settings) for video in rows[:loop_videos]])
    same = all(np.allclose(a, b) for a, b in zip(ours, loops, strict=False))
    seconds, loop_seconds = seconds / len(rows), loop_seconds / len(loops)
    report(f"soft-NMS, a video of {rows.shape[1]} proposals", seconds, loop_seconds, same)
    print(f"{'':50} {len(rows)} videos: ours {seconds * len(rows):.2f} s")

    ours, seconds = timed(lambda: detection_map(truth, found).ap)
    loops, loop_seconds = timed(lambda: loop_map(truth, found, ACTIVITYNET_IOUS))
    report(f"mAP, {len(truth)} videos of 100 detections", seconds, loop_seconds, np.allclose(ours, loops))

    segments, proposals = without_classes(truth, found)
    ours, seconds = timed(lambda: average_recall(segments, proposals, 100).recall)
    loops, loop_seconds = timed(lambda: loop_recall(segments, proposals, 100, ACTIVITYNET_IOUS))
    report(f"AR@AN, {len(truth)} videos of 100 proposals", seconds, loop_seconds, np.allclose(ours, loops))


def without_classes(truth: dict, found: dict) -> tuple[dict, dict]:
    """True segments, and proposals (N, 3), by video."""
    segments = {v: given.segments for v, given in truth.items()}
    return segments, {v: np.column_stack((given.segments, given.scores)) for v, given in found.items()}


def as_dicts(given: Labelled) -> list[dict]:
    scores = [1.0] * len(given.labels) if given.scores is None else given.scores.tolist()
    rows = zip(given.segments.tolist(), given.labels, scores, strict=True)
    return [{"segment": segment, "label": label, "score": score} for segment, label, score in rows]


def against_mmaction2(python: str, rows: np.ndarray, truth: dict, found: dict, videos: int) -> None:
    """The same arrays through MMAction2's functions, in turn with ours."""
    config, info = SegmentConfig(), {"duration_frame": 3000, "duration_second": 120.0}
    options = [config.soft_nms_alpha, config.soft_nms_low, config.soft_nms_high, config.top_k, config.frame_interval]
    segments, proposals = without_classes(truth, found)
    script = Path(__file__).with_name("localization_mmaction2.py")
    with tempfile.TemporaryDirectory() as name, Peer(python, script) as peer:
        np.save(Path(name, "proposals.npy"), rows)
        contents = {
            "truth": {f"v_{v}": {"annotations": as_dicts(given)} for v, given in truth.items()},
            "found": {"results": {str(v): as_dicts(given) for v, given in found.items()}},
            "segments": {v: s.tolist() for v, s in segments.items()},
            "rated": {v: p.tolist() for v, p in proposals.items()},
        }
        for part, content in contents.items():
            Path(name, f"{part}.json").write_text(json.dumps(content))
        who = f"MMAction2 {peer.run('load', folder=name)[1]}"

        ours, theirs, same = 0.0, 0.0, True
        for i, video in enumerate(rows[:videos]):
            a, seconds = timed(to_segments, video, config, info["duration_second"], info["duration_frame"])
            other, b = peer.run("process", video=i, info=info, options=options)
            b = np.array([(*proposal["segment"], proposal["score"]) for proposal in b])
            same &= np.allclose(np.column_stack((a.segments, a.scores)), b)
            ours, theirs = ours + seconds, theirs + other
        label = f"post-processing, {videos} videos of {rows.shape[1]} proposals"
        report(label, ours, theirs, same, who)

        a, seconds = timed(lambda: detection_map(truth, found).map)
        other, b = peer.run("detect")
        report(f"mAP, {len(truth)} videos of 100 detections", seconds, other, np.allclose(a, b), who)

        a, seconds = timed(average_recall, segments, proposals, 100)
        other, (recall, auc) = peer.run("recall")
        same = np.allclose(a.recall, recall) and np.isclose(a.auc, auc)
        report(f"AR@AN, {len(truth)} videos of 100 proposals", seconds, other, same, who)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=100)
    parser.add_argument("--proposals", type=int, default=10_000, help="of each video, for soft-NMS")
    parser.add_argument("--loop-videos", type=int, default=2, help="that the loops of soft-NMS go through")
    parser.add_argument("--mmaction2", metavar="PYTHON", help="of an environment with MMAction2 1.2")
    parser.add_argument("--mmaction2-videos", type=int, default=100, help="that its post-processing goes through")
    args = parser.parse_args()
    g = np.random.default_rng(0)
    start = g.uniform(0, 0.9, (args.videos, args.proposals))
    rows = np.stack((start, g.uniform(start + 0.01, 1.0), g.uniform(size=start.shape)), -1)
    truth, found = made_up(10 * args.videos, 100, 20, g)
    if args.mmaction2:
        against_mmaction2(args.mmaction2, rows, truth, found, min(args.videos, args.mmaction2_videos))
    else:
        against_loops(rows, truth, found, args.loop_videos)


if __name__ == "__main__":
    main()
