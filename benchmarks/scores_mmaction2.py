"""MMAction2's post-processing and metrics, for benchmarks/scores.py; runs in an environment of its own."""

from __future__ import annotations

import contextlib
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
    from mmaction.evaluation.functional.accuracy import average_recall_at_avg_proposals
    from mmaction.evaluation.functional.ava_utils import ava_eval
    from mmaction.evaluation.functional.eval_detection import ActivityNetLocalization
    from mmaction.models.localizers.utils import post_processing

    inputs = {}

    def load(folder: str, info: dict, options: list) -> None:
        path = Path(folder)
        inputs["proposals"] = np.load(path / "proposals.npy")
        inputs["evaluator"] = ActivityNetLocalization(str(path / "truth.json"), str(path / "found.json"))
        for name in ("segments", "rated"):
            rows = json.loads((path / f"{name}.json").read_text())
            inputs[name] = {video: np.array(values) for video, values in rows.items()}
        inputs.update(path=path, info=info, options=options)

    def process() -> list:
        kept = [post_processing(video, inputs["info"], *inputs["options"]) for video in inputs["proposals"]]
        return [[(*proposal["segment"], proposal["score"]) for proposal in video] for video in kept]

    def segments() -> list:
        return inputs["evaluator"].evaluate()[0].tolist()

    def recall() -> list:
        total = sum(map(len, inputs["rated"].values()))
        recall, _, _, auc = average_recall_at_avg_proposals(inputs["segments"], inputs["rated"], total, 100)
        return [recall.tolist(), auc]

    def boxes() -> list:
        detected, classes, truth = (str(inputs["path"] / n) for n in ("detected.csv", "classes.pbtxt", "boxes.csv"))
        with contextlib.redirect_stdout(None):
            return list(map(float, ava_eval(detected, "mAP", classes, truth, None, verbose=False).values()))

    serve({"load": load, "process": process, "segments": segments, "recall": recall, "boxes": boxes})


if __name__ == "__main__":
    main()
