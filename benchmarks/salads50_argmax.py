"""The baseline of 50 Salads that needs no training: runs of the per-frame arg-max of the given scores.

    python benchmarks/salads50_argmax.py ROOT

A run's score is the mean of its softmax values. Prints mAP in percent of each fold at IoUs from 0.1 to 0.5.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np

from vidhub import create_dataset
from vidhub.datasets.features import read_features
from vidhub.metrics.segments import Labelled, detection_map

IOUS = (0.1, 0.2, 0.3, 0.4, 0.5)


def runs(scores: np.ndarray) -> Labelled:
    """Segments in frames of (frames, classes) scores; class 0 is no action."""
    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    best = scores.argmax(1)
    bounds = [0, *(np.flatnonzero(np.diff(best)) + 1), len(best)]
    kept = [(a, b) for a, b in itertools.pairwise(bounds) if best[a]]
    return Labelled(kept, [str(best[a]) for a, _ in kept], [shares[a:b, best[a]].mean() for a, b in kept])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", metavar="ROOT", help="folder of the data set salads50")
    args, folds = parser.parse_args(), []
    for fold in range(1, 6):
        records = create_dataset("salads50", args.root, "test", fold=fold).records
        truth = {record.video_id: Labelled(record.segments, record.labels) for record in records}
        found = {record.video_id: runs(read_features(record.path)) for record in records}
        folds.append(100 * detection_map(truth, found, IOUS).map)
    for name, row in [*((f"fold {i}", row) for i, row in enumerate(folds, 1)), ("mean", np.mean(folds, 0))]:
        print(f"{name}  " + "  ".join(f"{value:.1f}" for value in (*row, row.mean())))


if __name__ == "__main__":
    main()
