"""Cross-validation in Python: each person of a data set is the test set once, the others train the network.

    python examples/leave_one_subject_out.py WEIZMANN --out runs/loso

WEIZMANN holds videos and list.csv with the columns file, label and index, eight videos in a row a person. For another
data set change ``read``. Nothing is chosen by looking at the test person: the network after the last epoch counts.
"""

import argparse
import csv
from pathlib import Path

import vidhub
from vidhub.datasets.dataset import VideoDataset
from vidhub.datasets.records import VideoRecord
from vidhub.engine.recipe import change_recipe

SETTINGS = {
    "model": "x3d_xs",
    "model_args": {"depth": 0.5},
    "num_frames": 16,
    "stride": 3,
    "size": 56,
    "resize": 64,
    "cache": 64,
    "augment": {"area": [0.6, 1.0]},
    "epochs": 40,
    "batch_size": 8,
    "lr": 2e-3,
    "warmup_epochs": 4,
    "clip_grad": 1.0,
    "smoothing": 0.1,
    "ema_decay": 0.98,
    "val_every": 40,
    "save_every": 1000,
    "workers": 0,
    "tensorboard": False,
}


def read(root: Path) -> tuple[list[tuple[int, VideoRecord]], tuple[str, ...]]:
    """(person, video) of every row, and the class names."""
    rows = list(csv.DictReader((root / "list.csv").open(encoding="utf-8")))
    classes = tuple(sorted({row["label"] for row in rows}))
    records = [VideoRecord(str(root / row["file"]), classes.index(row["label"])) for row in rows]
    return [(int(row["index"]) // 8, record) for row, record in zip(rows, records, strict=True)], classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/loso"))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="change the settings")
    args = parser.parse_args()
    videos, classes = read(args.root)
    recipe = change_recipe(vidhub.Recipe(**SETTINGS), args.set)
    right = 0
    for person in sorted({person for person, _ in videos}):
        train_set = VideoDataset([record for who, record in videos if who != person], classes=classes)
        val_set = VideoDataset([record for who, record in videos if who == person], classes=classes)
        run = vidhub.train(recipe, train_set=train_set, val_set=val_set, out=str(args.out / f"person{person}"))
        right += round(run.metrics["top1"] / 100 * len(val_set))
        print(f"person {person}: {run.metrics['top1']:.1f} % of {len(val_set)} videos", flush=True)
    print(f"all: {right} of {len(videos)} right, {100 * right / len(videos):.1f} %")


if __name__ == "__main__":
    main()
