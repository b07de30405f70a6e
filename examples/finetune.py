"""Fine-tune any RGB recognition network of vidhub on DATA/train/CLASS/*.mp4, scored on DATA/val/CLASS/*.mp4.

    python examples/finetune.py DATA --model slowonly_r50 --pretrained --epochs 20 --lr 1e-4 --out runs/mine

Without a val folder --val-split of the training videos is set aside, and DATA may hold the class folders itself.
vidhub.create_model("local-dir:runs/mine") then builds the epoch that was best on val, in moving average.
"""

import argparse
import random
from ast import literal_eval
from dataclasses import replace
from pathlib import Path

import torch
from timm.optim import param_groups_weight_decay
from timm.utils import ModelEmaV3, random_seed
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

import vidhub
from vidhub.transforms.functional import fit_size, resize


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("data", type=Path)
    add("--model", default="x3d_xs")
    add("--kwargs", nargs="*", default=[], metavar="NAME=VALUE", help="arguments of the network")
    add("--pretrained", action="store_true", help="start from the published weights")
    add("--out", type=Path, default=Path("runs/finetune"))
    add("--epochs", type=int, default=30)
    add("--batch-size", type=int, default=16)
    add("--lr", type=float, default=1e-3)
    add("--mixup", type=float, default=0.2, help="alpha of mixup; 0: none")
    add("--frames", type=int, help="frames of a clip (default: the network's)")
    add("--stride", type=int, help="distance of two frames (default: the network's)")
    add("--size", type=int, help="side of the crop (default: the network's)")
    add("--val-split", type=float, default=0.2, help="share set aside where there is no val folder")
    add("--val-every", type=int, default=1, help="epochs from one validation to the next")
    add("--cache", type=int, default=0, help="keep decoded videos in memory, short side CACHE; 0: decode every time")
    add("--workers", type=int, default=2)
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--seed", type=int, default=0)
    return parser.parse_args()


def list_videos(folder: Path, classes: list[str]) -> list[tuple[Path, int]]:
    """Every readable video under folder/CLASS, with the index of its class."""
    videos = []
    for label, name in enumerate(classes):
        for path in sorted(p for p in (folder / name).glob("*") if not p.name.startswith(".")):
            try:
                with vidhub.VideoReader(path):
                    videos.append((path, label))
            except vidhub.VidhubError as error:
                print(f"skipped: {error}")
    return videos


class Clips(Dataset):
    """(clip or views, label). With ``cache`` every video is decoded once and kept at that short side."""

    def __init__(self, videos: list[tuple[Path, int]], transform, cache: int):
        self.transform = transform
        self.items = [(path, 30.0, label) for path, label in videos]  # only cached frames need a rate
        for i, (path, label) in enumerate(tqdm(videos, desc="decoding") if cache else []):
            with vidhub.VideoReader(path) as reader:
                frames = [resize(frame, fit_size(reader.size, short=cache)) for frame in reader]
                self.items[i] = torch.stack(frames), reader.fps, label

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        source, fps, label = self.items[index]
        with vidhub.VideoReader(source, fps=fps) as reader:
            return self.transform.load(reader), label


@torch.inference_mode()
def evaluate(model: torch.nn.Module, loader: DataLoader, device: str) -> tuple[float, float]:
    """Top-1 accuracy in percent and negative loss; probabilities are averaged over each video's views."""
    correct = log_likelihood = 0.0
    for views, label in loader:  # one video: (1, V, C, T, H, W)
        probabilities = model.eval()(views[0].to(device)).softmax(-1).mean(0)
        correct += probabilities.argmax().item() == label.item()
        log_likelihood += probabilities[label.item()].log().item()
    return 100 * correct / len(loader), log_likelihood / len(loader)


def main() -> None:
    args = parse_args()
    random_seed(args.seed)
    root = args.data / "train" if (args.data / "train").is_dir() else args.data
    classes = sorted(p.name for p in root.iterdir() if p.is_dir())
    train = list_videos(root, classes)
    if len(train) < 2:
        raise SystemExit(f"training takes two videos or more, in folders of classes, and {root} has {len(train)}.")
    val = list_videos(args.data / "val", classes) if (args.data / "val").is_dir() else []
    if not val:
        val = random.sample(train, min(max(1, round(len(train) * args.val_split)), len(train) - 1))
        train = [video for video in train if video not in val]
    print(f"{len(train)} training and {len(val)} validation videos of {len(classes)} classes")

    kwargs = {name: literal_eval(value) for name, value in (pair.split("=") for pair in args.kwargs)}
    model = vidhub.create_model(args.model, args.pretrained, num_classes=len(classes), **kwargs)
    shorter = args.size and args.size * 8 // 7  # the usual margin around the crop
    changes = {"num_frames": args.frames, "stride": args.stride, "size": args.size, "resize": shorter}
    changes = {name: value for name, value in changes.items() if value} | {"test_size": None, "views": (3, 1)}
    config = model.data_config = replace(model.data_config, **changes)
    model.labels = tuple(classes)
    augment = vidhub.create_transform(config, training=True, area=(0.3, 1.0), color_jitter=0.3)
    train_set = Clips(train, augment, args.cache)
    val_set = Clips(val, vidhub.create_transform(config, views="test"), args.cache)
    batch_size = min(args.batch_size, len(train))
    loader = DataLoader(train_set, batch_size, shuffle=True, drop_last=True, num_workers=args.workers)
    val_loader = DataLoader(val_set, num_workers=args.workers)
    model.to(args.device, memory_format=torch.channels_last_3d)
    optimizer = torch.optim.AdamW(param_groups_weight_decay(model, 0.05), lr=args.lr)
    schedule = OneCycleLR(optimizer, args.lr, args.epochs * len(loader), pct_start=0.1, cycle_momentum=False)
    ema = ModelEmaV3(model, decay=0.98, use_warmup=True)
    best, step = (-1.0, 0.0), 0
    for epoch in range(args.epochs):
        model.train()
        for clips, labels in (bar := tqdm(loader, desc=f"epoch {epoch + 1}/{args.epochs}")):
            clips, labels = clips.to(args.device, memory_format=torch.channels_last_3d), labels.to(args.device)
            keep = random.betavariate(args.mixup, args.mixup) if args.mixup else 1.0
            logits = model(clips.lerp(clips.flip(0), 1 - keep))
            losses = [cross_entropy(logits, y, label_smoothing=0.1) for y in (labels, labels.flip(0))]
            loss = keep * losses[0] + (1 - keep) * losses[1]
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            ema.update(model, step := step + 1)
            bar.set_postfix(loss=f"{loss.item():.3f}")
        if (args.epochs - epoch - 1) % args.val_every == 0:
            score = evaluate(ema.module, val_loader, args.device)
            if score > best:  # of equally accurate ones the surest
                best = score
                vidhub.save_checkpoint(ema.module, args.out)
            print(f"epoch {epoch + 1}: val top-1 {score[0]:.1f} %, loss {-score[1]:.3f}, best {best[0]:.1f} %")


if __name__ == "__main__":
    main()
