"""Post-processing of proposals, and the scores of segments and boxes, against MMAction2's on the same made-up data.

The peer's functions are those of its BMN, and its copies of the official scripts of ActivityNet and AVA. Results are
compared.

    python benchmarks/scores.py --mmaction2 PATH/bin/python    # of an environment with MMAction2 1.2
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peers import Peer, Row, compare

from vidhub.engine.postprocess import to_segments
from vidhub.metrics.ava import MMACTION2, frame_map, read_boxes
from vidhub.metrics.segments import Labelled, average_recall, detection_map
from vidhub.weights.types import SegmentConfig

CONFIG, FRAMES, SECONDS = SegmentConfig(), 3000, 120.0


def measure(python: str, rounds: int = 5, videos: int = 100, proposals: int = 10_000) -> list[Row]:
    """Post-processing of ``videos`` (once, as it takes the peer a minute or more), then the metrics."""
    g = np.random.default_rng(0)
    start = g.uniform(0, 0.9, (videos, proposals))
    rated = np.stack((start, g.uniform(start + 0.01, 1.0), g.uniform(size=start.shape)), -1)
    truth, found = made_up_segments(10 * videos, 100, 20, g)
    segments = {video: given.segments for video, given in truth.items()}
    with_scores = {video: np.column_stack((given.segments, given.scores)) for video, given in found.items()}
    with tempfile.TemporaryDirectory() as name, Peer(python, Path(__file__).with_name("scores_mmaction2.py")) as peer:
        folder = Path(name)
        np.save(folder / "proposals.npy", rated)
        contents = {
            "truth": {f"v_{video}": {"annotations": as_dicts(given)} for video, given in truth.items()},
            "found": {"results": {str(video): as_dicts(given) for video, given in found.items()}},
            "segments": {video: given.tolist() for video, given in segments.items()},
            "rated": {video: given.tolist() for video, given in with_scores.items()},
        }
        for part, content in contents.items():
            (folder / f"{part}.json").write_text(json.dumps(content))
        write_boxes(folder, frames=4000, g=g)
        info = {"duration_frame": FRAMES, "duration_second": SECONDS}
        options = [CONFIG.soft_nms_alpha, CONFIG.soft_nms_low, CONFIG.soft_nms_high, CONFIG.top_k]
        peer.run("load", folder=name, info=info, options=[*options, CONFIG.frame_interval])

        def process() -> list:
            kept = [to_segments(video, CONFIG, SECONDS, FRAMES) for video in rated]
            return [np.column_stack((k.segments, k.scores)) for k in kept]

        def recall() -> list:
            result = average_recall(segments, with_scores, 100)
            return [result.recall, result.auc]

        def boxes() -> list:
            result = frame_map(read_boxes(folder / "detected.csv"), read_boxes(folder / "boxes.csv"), **MMACTION2)
            return [result.overall, *result.groups.values()]

        many = f"{10 * videos} videos of 100"
        return [
            both(peer, "process", f"soft-NMS, {videos} videos of {proposals}", process, rounds=1),
            both(
                peer, "segments", f"mAP over IoUs, {many} detections", lambda: detection_map(truth, found).map, rounds
            ),
            both(peer, "recall", f"AR@AN, {many} proposals", recall, rounds),
            both(peer, "boxes", "frame mAP, files of 80 000 boxes", boxes, rounds),
        ]


def both(peer: Peer, case: str, what: str, ours: Callable[[], Any], rounds: int) -> Row:
    """The row; says so where the results are not the same."""
    results = {}

    def here() -> None:
        results["here"] = ours()

    def there() -> float:
        seconds, results["there"] = peer.run(case)
        return seconds

    row = compare(what, "MMAction2", here, there, rounds, warm_up=rounds > 1)
    pairs = zip(*(np.atleast_1d(np.array(r, object)) for r in (results["here"], results["there"])), strict=True)
    if not all(np.allclose(np.array(a, float), np.array(b, float)) for a, b in pairs):
        print(f"{'':40} NOT THE SAME RESULTS")
    return row


def made_up_segments(videos: int, number: int, classes: int, g: np.random.Generator) -> tuple[dict, dict]:
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


def as_dicts(given: Labelled) -> list[dict]:
    scores = [1.0] * len(given.labels) if given.scores is None else given.scores.tolist()
    rows = zip(given.segments.tolist(), given.labels, scores, strict=True)
    return [{"segment": segment, "label": label, "score": score} for segment, label, score in rows]


def write_boxes(folder: Path, frames: int, g: np.random.Generator, classes: int = 80, per_frame: int = 20) -> None:
    """AVA's files: 4 true boxes a frame, ``per_frame`` detections, the names of the classes."""
    lines: dict[str, list[str]] = {"boxes": [], "detected": []}
    for frame in range(frames):
        corner = g.uniform(0, 0.5, (4, 2))
        true = np.concatenate((corner, corner + g.uniform(0.2, 0.5, (4, 2))), 1)
        labels, origin = g.integers(1, classes + 1, 4), g.integers(0, 4, per_frame)
        near = true[origin] + g.normal(0, 0.05, (per_frame, 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 0.01)
        wrong = g.uniform(size=per_frame) < 0.3
        guessed = np.where(wrong, g.integers(1, classes + 1, per_frame), labels[origin])
        key = f"video{frame // 900},{900 + frame % 900:04d}"
        lines["boxes"] += [f"{key},{as_text(box)},{label},1" for box, label in zip(true, labels, strict=True)]
        rows = zip(near, guessed, g.uniform(size=per_frame), strict=True)
        lines["detected"] += [f"{key},{as_text(box)},{label},{score:.8f}" for box, label, score in rows]
    for name, rows in lines.items():
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")
    names = [f'item {{\n  name: "class {i}"\n  id: {i}\n}}\n' for i in range(1, classes + 1)]
    (folder / "classes.pbtxt").write_text("".join(names))


def as_text(box: np.ndarray) -> str:
    return ",".join(f"{value:.4f}" for value in box)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mmaction2", metavar="PYTHON", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    measure(args.mmaction2, args.rounds)


if __name__ == "__main__":
    main()
