"""Pre-train a video transformer on all videos under a folder, without labels, by VideoMAE or MaskFeat.

    python examples/pretrain.py VIDEOS --method videomae --model vit3d_base --pretrained --epochs 50 --out runs/mae
    vidhub train --set dataset=folder root=DATA model=local-dir:runs/mae/encoder

The second command fine-tunes what the first one trained. --pretrained goes on from published weights; a network of
one's own size is had with --kwargs dim=192 depth=6 num_heads=3. Settings of the papers: VideoMAE hides 90 %, MaskFeat
40 %; both want hundreds of epochs.
"""

import argparse
from ast import literal_eval
from pathlib import Path

import torch

import vidhub
from vidhub.datasets.dataset import VideoDataset
from vidhub.datasets.lists import VIDEO_SUFFIXES
from vidhub.datasets.records import VideoRecord
from vidhub.engine.pretrain import maskfeat_loss, videomae_loss
from vidhub.models.masked import MaskFeat, VideoMAE


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("videos", type=Path)
    add("--method", choices=("videomae", "maskfeat"), default="videomae")
    add("--model", default="vit3d_small")
    add("--kwargs", nargs="*", default=[], metavar="NAME=VALUE", help="arguments of the network")
    add("--pretrained", action="store_true", help="start from the published weights")
    add("--out", type=Path, default=Path("runs/pretrain"))
    add("--epochs", type=int, default=50)
    add("--batch-size", type=int, default=8)
    add("--repeats", type=int, default=4, help="clips of a video that is decoded")
    add("--lr", type=float, default=3e-4)
    add("--ratio", type=float, help="share of a clip that is hidden (default: the method's)")
    add("--decode", type=float, default=1.0, help="share of it that VideoMAE's decoder predicts; V2 takes 0.5")
    add("--cache", type=int, default=0, help="keep decoded videos in memory, short side CACHE")
    add("--workers", type=int, default=2)
    add("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    paths = sorted(p for p in args.videos.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES)
    kwargs = {name: literal_eval(value) for name, value in (pair.split("=") for pair in args.kwargs)}
    encoder = vidhub.create_model(args.model, args.pretrained, **kwargs)
    config = encoder.data_config
    if args.method == "videomae":
        model, options = VideoMAE(encoder), {"ratio": args.ratio or 0.9, "decode": args.decode}
    else:
        model, options = MaskFeat(encoder), {"ratio": args.ratio or 0.4}
    objective = videomae_loss if args.method == "videomae" else maskfeat_loss

    augment = vidhub.create_transform(config, training=True, area=(0.5, 1.0), repeats=args.repeats)
    videos = VideoDataset([VideoRecord(str(path)) for path in paths], num_classes=1)
    if args.cache:
        videos.cache(args.cache)
    run = vidhub.train(
        model=model,
        train_set=videos.with_transform(augment),
        loss=lambda model, batch: objective(model, batch[0], **options),
        val_split="",
        epochs=args.epochs,
        batch_size=args.batch_size,
        lr=args.lr,
        warmup_epochs=args.epochs / 10,
        optimizer_args={"betas": [0.9, 0.95]},
        workers=args.workers,
        seed=args.seed,
        out=str(args.out),
    )
    vidhub.save_checkpoint(run.model.encoder, args.out / "encoder")
    print(f"loss {run.history[0]['loss']:.3f} at the start, {run.history[-1]['loss']:.3f} at the end")


if __name__ == "__main__":
    main()
