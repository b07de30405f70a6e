"""Everything that is measured against other packages, in one run on the same files and weights: CSV, table, picture.

    python benchmarks/run.py VIDEO ... --mmaction2 PATH/bin/python --peers PATH/bin/python --out results

``--mmaction2``: of an environment with MMAction2 1.2 (mmengine, mmcv-lite==2.1.0, decord, importlib_metadata,
opencv-python-headless). ``--peers``: of one with any of decord, torchcodec, opencv-python-headless,
pytorchvideo, transformers. What is not there is skipped by name. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import statistics
from pathlib import Path

import decoding
import heatmaps
import networks
import pipelines
import scores
import torch
from peers import Row

PARTS = ("decoding", "pipelines", "networks", "heatmaps", "scores")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="*", help="for decoding and pipelines; their samples are of the first")
    parser.add_argument("--mmaction2", metavar="PYTHON")
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    networks.add_ways(parser)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="FOLDER")
    args = parser.parse_args()
    print(f"{_processor()}, {os.cpu_count()} cores, torch {torch.__version__}")
    results: dict[str, list[Row]] = {}
    for part in args.only:
        print(f"\n== {part}", flush=True)
        if rows := _measure(part, args):
            results[part] = rows
            _save(results, args.out)  # what is there so far, should a later part fail
    for part, rows in results.items():
        for peer in dict.fromkeys(row.peer for row in rows):
            ratios = [row.ratio for row in rows if row.peer == peer]
            mean = statistics.geometric_mean(ratios)
            print(f"{part:12} {peer:20} geometric mean {mean:.2f} x, least {min(ratios):.2f} x, of {len(ratios)}")
    best = decoding.best_ratios(results.get("decoding", []))
    if best:
        print(f"decoding, the faster of decord and torchcodec: median {statistics.median(best):.2f} x, ", end="")
        print(f"least {min(best):.2f} x")


def _measure(part: str, args: argparse.Namespace) -> list[Row]:
    if part == "networks":
        return networks.measure(args.mmaction2, args.peers, networks.ways_of(args), rounds=args.rounds)
    python, name = (args.peers, "--peers") if part == "decoding" else (args.mmaction2, "--mmaction2")
    if python is None:
        print(f"skipped: no {name} was named")
        return []
    if part in ("heatmaps", "scores"):
        return (heatmaps if part == "heatmaps" else scores).measure(python)
    if not args.videos:
        print("skipped: no videos were named")
        return []
    return (decoding if part == "decoding" else pipelines).measure(python, args.videos, args.rounds)


def _save(results: dict[str, list[Row]], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("part", *Row._fields))
        for part, rows in results.items():
            writer.writerows((part, *(round(x, 4) if isinstance(x, float) else x for x in row)) for row in rows)
    table = [
        "| | ours, ms | peer | its ms | times as fast (first to ninth decile of the pairs) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in (row for rows in results.values() for row in rows):
        table.append(
            f"| {row.what} | {row.ours:.1f} | {row.peer} | {row.theirs:.1f} | "
            f"{row.ratio:.2f} ({row.low:.2f} to {row.high:.2f}) |"
        )
    (folder / "results.md").write_text("\n".join(table) + "\n", encoding="utf-8")
    try:
        import matplotlib
    except ImportError:
        print("skipped: the picture, as matplotlib is not installed")
        return
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    count = sum(map(len, results.values()))
    figure, axes = plt.subplots(
        len(results),
        squeeze=False,
        sharex=True,
        figsize=(9, 1.5 + 0.24 * count),
        gridspec_kw={"height_ratios": [len(rows) for rows in results.values()]},
        layout="constrained",
    )
    peers = list(dict.fromkeys(row.peer for rows in results.values() for row in rows))
    for ax, (part, rows) in zip(axes[:, 0], results.items(), strict=True):
        for i, row in enumerate(rows):
            spread = [[row.ratio - row.low], [row.high - row.ratio]]
            ax.barh(i, row.ratio, xerr=spread, color=f"C{peers.index(row.peer)}", error_kw={"lw": 0.8})
        ax.set_yticks(range(len(rows)), [row.what for row in rows], fontsize=7)
        ax.set_title(part, loc="left", fontsize=9)
        ax.axvline(1, color="black", lw=0.8)
        ax.invert_yaxis()
        ax.set_xscale("log")
    ticks = (0.5, 1, 2, 5, 10)
    axes[-1, 0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes[-1, 0].set_xlabel("times as fast as the peer (median of pairs; a tenth of the pairs lie beyond each end)")
    handles = [plt.Rectangle((0, 0), 1, 1, color=f"C{i}") for i in range(len(peers))]
    figure.legend(handles, peers, loc="outside upper right", ncols=len(peers), fontsize=7)
    figure.savefig(folder / "results.png", dpi=110)
    plt.close(figure)


def _processor() -> str:
    try:
        names = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(": ")[2] for line in names if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
