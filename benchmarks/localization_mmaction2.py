"""MMAction2's own post-processing and evaluation of localization, timed on what benchmarks/localization.py wrote.

Runs in an environment of its own, with MMAction2 1.2; prints timings in seconds and results as one JSON object.

    python benchmarks/localization_mmaction2.py FOLDER
"""

from __future__ import annotations

import json
import sys
import time
import types
from pathlib import Path

import numpy as np

# the wheel leaves out a folder that it imports
_missing = types.ModuleType("mmaction.models.localizers.drn.drn")
_missing.DRN = object
sys.modules["mmaction.models.localizers.drn.drn"] = _missing
# it uses names that NumPy 2 no longer has
for old, new in (("float", float), ("trapz", getattr(np, "trapezoid", None))):
    if not hasattr(np, old):
        setattr(np, old, new)


def timed(function, *args):
    started = time.perf_counter()
    return function(*args), time.perf_counter() - started


def main() -> None:
    from mmaction import __version__
    from mmaction.evaluation.functional.accuracy import average_recall_at_avg_proposals
    from mmaction.evaluation.functional.eval_detection import ActivityNetLocalization
    from mmaction.models.localizers.utils import post_processing

    folder = Path(sys.argv[1])
    settings = json.loads((folder / "settings.json").read_text())
    info = {"duration_frame": settings["num_frames"], "duration_second": settings["duration"]}
    kept, seconds = timed(
        lambda: [
            post_processing(rows, info, *settings["post_processing"]) for rows in np.load(folder / "proposals.npy")
        ]
    )
    rows = [[(*proposal["segment"], proposal["score"]) for proposal in video] for video in kept]
    results = {"version": __version__, "post_processing": {"seconds": seconds / len(rows), "kept": rows}}

    evaluator = ActivityNetLocalization(str(folder / "truth.json"), str(folder / "found.json"))
    (maps, _), seconds = timed(evaluator.evaluate)
    results["map"] = {"seconds": seconds, "map": maps.tolist()}

    truth = {video: np.array(rows) for video, rows in json.loads((folder / "segments.json").read_text()).items()}
    proposals = {video: np.array(rows) for video, rows in json.loads((folder / "rated.json").read_text()).items()}
    total = sum(map(len, proposals.values()))
    (recall, _, _, auc), seconds = timed(average_recall_at_avg_proposals, truth, proposals, total, 100)
    results["recall"] = {"seconds": seconds, "recall": recall.tolist(), "auc": auc}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
