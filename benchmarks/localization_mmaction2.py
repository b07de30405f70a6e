"""MMAction2's post-processing and evaluation of localization, for benchmarks/localization.py.

Runs in an environment of its own.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from peers import allow_mmaction2, serve


def main() -> None:
    allow_mmaction2()
    # it uses names that NumPy 2 no longer has
    for old, new in (("float", float), ("trapz", getattr(np, "trapezoid", None))):
        if not hasattr(np, old):
            setattr(np, old, new)
    from mmaction import __version__
    from mmaction.evaluation.functional.accuracy import average_recall_at_avg_proposals
    from mmaction.evaluation.functional.eval_detection import ActivityNetLocalization
    from mmaction.models.localizers.utils import post_processing

    inputs = {}

    def load(folder: str) -> str:
        path = Path(folder)
        inputs["proposals"] = np.load(path / "proposals.npy")
        inputs["evaluator"] = ActivityNetLocalization(str(path / "truth.json"), str(path / "found.json"))
        for name in ("segments", "rated"):
            rows = json.loads((path / f"{name}.json").read_text())
            inputs[name] = {video: np.array(values) for video, values in rows.items()}
        return __version__

    def process(video: int, info: dict, options: list) -> list:
        return post_processing(inputs["proposals"][video], info, *options)

    def detect() -> list:
        return inputs["evaluator"].evaluate()[0].tolist()

    def recall() -> list:
        total = sum(map(len, inputs["rated"].values()))
        recall, _, _, auc = average_recall_at_avg_proposals(inputs["segments"], inputs["rated"], total, 100)
        return [recall.tolist(), auc]

    serve({"load": load, "process": process, "detect": detect, "recall": recall})


if __name__ == "__main__":
    main()
