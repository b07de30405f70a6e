"""The command line, ``vidhub``: predict, extract, bank, export, list, info, train, eval, data and check.

Results go to stdout, everything else to stderr. What the user can put right is told in one sentence, with exit code 2.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib.resources
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from . import __version__
from ._memory import keep_memory
from .errors import InputError, VidhubError, in_one_line, unknown_name
from .models._index import TASK_OF
from .models._registry import list_models
from .weights import tables
from .weights.tables import WEIGHTS, get_weights, list_pretrained
from .weights.types import AnyConfig, AudioConfig, DataConfig, DetectionConfig, SegmentConfig, SkeletonConfig, Weights


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``vidhub`` with these arguments (None: those of the process) and return its exit code.

    0: done; 2: something was wrong, and told; 130: interrupted; 141: nobody reads stdout any more.
    """
    keep_memory()
    try:
        args = _parser().parse_args(argv)
        code = args.run(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at exit
        return 141
    except (VidhubError, OSError) as error:
        _complain(error)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        _leave_processes()


def _leave_processes() -> None:
    """Where several processes shared the work: one that ends with its connections open is sometimes aborted."""
    torch = sys.modules.get("torch")
    if torch and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _complain(error: Exception) -> None:
    _note(f"vidhub: {in_one_line(error)}")


def _note(text: str) -> None:
    print(text, file=sys.stderr)


# --------------------------------------------------------------------------------------------------------- arguments


# what several commands take
_DEVICE = {"help": "cpu, cuda, cuda:1, ...; else a GPU if there is one"}
_DTYPE = {"choices": ("float32", "float16", "bfloat16"), "help": "precision of the arithmetic"}
_BATCH_SIZE = {"type": int, "metavar": "N", "help": "views of videos at once; 8, on a CPU 1, if unsaid"}
_WORKERS = {"type": int, "default": 2, "metavar": "N", "help": "processes that decode (%(default)s)"}
_DATA = {
    "nargs": "+",
    "action": "extend",
    "default": [],
    "metavar": "KEY=VALUE",
    "help": "options of the data set: fold=2",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise InputError(f"{message}; see {self.prog} --help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="vidhub", description="Pretrained video-understanding models.")
    parser.add_argument("--version", action="version", version=f"vidhub {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("predict", help="name what happens in videos")
    command.set_defaults(run=_predict)
    command.add_argument("files", nargs="*", metavar="FILE", help="video file, address, or folder of frame images")
    command.add_argument("--sample", action="store_true", help="the clip that comes with vidhub")
    command.add_argument("--model", metavar="NAME", help="see vidhub list; also hf-hub:ORG/REPO and local-dir:FOLDER")
    command.add_argument("--topk", type=int, default=5, metavar="K", help="how many classes to print (%(default)s)")
    command.add_argument(
        "--views",
        type=_views,
        metavar="one|test|N|CxK",
        help="how much of a video to look at: as in the published test, N clips, or C clips of K crops; else one view",
    )
    command.add_argument("--device", **_DEVICE)
    command.add_argument("--dtype", **_DTYPE)
    command.add_argument("--batch-size", **_BATCH_SIZE)
    command.add_argument(
        "--stream",
        action="store_true",
        help="name what happens while it happens: FILE is a video, an address or the number of a camera",
    )
    command.add_argument(
        "--fps", type=float, default=2.0, metavar="N", help="frames a second of --stream (%(default)s)"
    )
    command.add_argument("--draw", metavar="OUT.mp4", help="write the video with its classes, skeletons or boxes")
    command.add_argument(
        "--poses", metavar="FILE", help="the video's skeletons as JSON (COCO, OpenPose, MediaPipe), else they are found"
    )
    command.add_argument(
        "--task",
        choices=("recognition", "localization"),
        default="recognition",
        help="localization: what happens when in long videos, or in files of their features",
    )
    command.add_argument("--features", metavar="NAME", help="of localization: the network that takes the features")
    command.add_argument(
        "--proposals", metavar="FILE", help="of localization by SSN: proposals to judge, .txt or .json"
    )
    command.add_argument("--duration", type=float, metavar="S", help="of localization: seconds of a file of features")
    command.add_argument("--min-score", type=float, default=0.0, metavar="P", help="of localization (%(default)s)")
    command.add_argument("--timeline", metavar="PICTURE", help="of localization: draw the segments of one video")
    command.add_argument("--json", action="store_true", help="print a JSON list; with --stream an object a line")

    command = commands.add_parser("extract", help="write features of videos, for localization")
    command.set_defaults(run=_extract)
    command.add_argument("model", metavar="MODEL", help="a recognition network, as for predict --model")
    command.add_argument("videos", nargs="+", metavar="VIDEOS", help="folders and files")
    command.add_argument("--out", required=True, metavar="FOLDER", help="for the files of features")
    command.add_argument("--every", type=int, default=16, metavar="N", help="frames between features (%(default)s)")
    command.add_argument("--format", choices=("npy", "h5"), default="npy", help="%(default)s if nothing is said")
    command.add_argument("--batch-size", **_BATCH_SIZE)
    command.add_argument("--device", **_DEVICE)
    command.add_argument("--dtype", **_DTYPE)

    command = commands.add_parser("bank", help="write what all persons of a data set do, for detectors with a memory")
    command.set_defaults(run=_bank)
    command.add_argument("model", metavar="MODEL", help="a detector without a memory, as for predict --model")
    command.add_argument("dataset", metavar="DATASET", help="one with boxes: see vidhub data list --task detection")
    command.add_argument("root", metavar="ROOT", help="folder of the data set")
    command.add_argument("--split", nargs="+", default=["train", "val"], help="train and val if nothing is said")
    command.add_argument("--out", required=True, metavar="FOLDER", help="for the bank; goes on where it stopped")
    command.add_argument("--data", **_DATA)
    command.add_argument("--workers", **_WORKERS)
    command.add_argument("--device", **_DEVICE)

    command = commands.add_parser("export", help="write a model for onnxruntime or torch.export, and check the file")
    command.set_defaults(run=_export)
    command.add_argument("model", metavar="MODEL", help="as for predict --model")
    command.add_argument("out", metavar="OUT", help="a file: .onnx, or .pt2 for torch.export.load")
    command.add_argument("--num-classes", type=int, metavar="N", help="else those of the weights")
    command.add_argument("--no-weights", action="store_true", help="leave the network as it starts")
    command.add_argument(
        "--fixed-batch", type=int, metavar="N", help="take N clips at once, no fewer or more; else any"
    )

    command = commands.add_parser("list", help="list the models")
    command.set_defaults(run=_list)
    command.add_argument("pattern", nargs="?", default="", metavar="PATTERN", help="part of a name, or shell wildcards")
    command.add_argument("--task", help="only models of this task, for example recognition")
    command.add_argument("--pretrained", action="store_true", help="only models with published weights")
    command.add_argument("--weights", action="store_true", help="list published weights instead of models")
    command.add_argument("--json", action="store_true", help="print a JSON list")

    command = commands.add_parser("info", help="all about a model and its weights")
    command.set_defaults(run=_info)
    command.add_argument("name", metavar="NAME", help="a model, or published weights: see vidhub list --weights")
    command.add_argument("--json", action="store_true", help="print a JSON object")

    command = commands.add_parser("train", help="train or fine-tune a model")
    command.set_defaults(run=_train)
    command.add_argument("--config", metavar="RECIPE", help="a YAML file, or the name of a published recipe")
    command.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="change the recipe")
    command.add_argument("--resume", action="store_true", help="go on from the last checkpoint of the same out")
    command.add_argument("--show", action="store_true", help="print the recipe and all its keys, and train nothing")
    command.add_argument("--recipes", action="store_true", help="list the published recipes")
    command.add_argument(
        "--measure-loading", action="store_true", help="tell what a run would wait for, and train nothing"
    )

    command = commands.add_parser("eval", help="measure a model on a data set, or fuse the scores of several")
    command.set_defaults(run=_eval)
    command.add_argument(
        "model", nargs="?", metavar="MODEL", help="as for predict --model; or detections.json that an eval wrote"
    )
    command.add_argument("dataset", nargs="?", metavar="DATASET", help="see vidhub data list")
    command.add_argument("root", nargs="?", metavar="ROOT", help="folder of the data set")
    command.add_argument("--split", help="val, or test where there is no other, if nothing is said")
    command.add_argument("--data", **_DATA)
    command.add_argument("--views", type=_views, default="test", help="as for predict; the published test by default")
    command.add_argument(
        "--out", metavar="DIR", help="keep scores, metrics and a report there; goes on where it stopped"
    )
    command.add_argument(
        "--as-mmaction2", action="store_true", help="of boxes: count as MMAction2's published mAP does"
    )
    command.add_argument(
        "--detect", action="store_true", help="of boxes: find the persons by Faster R-CNN, in every key frame"
    )
    command.add_argument("--bank", metavar="FOLDER", help="of boxes: the feature bank of a network with a memory")
    command.add_argument("--match-labels", action="store_true", help="bring the model's classes into the data's order")
    command.add_argument("--fuse", nargs="+", metavar="SCORES", help="folders or files of earlier evals to add up")
    command.add_argument("--weights", nargs="+", type=float, metavar="W", help="of the scores to fuse")
    command.add_argument("--batch-size", **_BATCH_SIZE)
    command.add_argument("--workers", **_WORKERS)
    command.add_argument("--device", **_DEVICE)
    command.add_argument("--dtype", **_DTYPE)
    command.add_argument("--json", action="store_true", help="print a JSON object")

    command = commands.add_parser("data", help="the data sets: list them, tell about one, look at a copy of it")
    actions = command.add_subparsers(metavar="ACTION", required=True)
    command = actions.add_parser("list", help="list the data sets")
    command.set_defaults(run=_data_list)
    command.add_argument("--task", help="only those of this task, for example recognition")
    command = actions.add_parser("info", help="where it is had, its licence and layout; with ROOT what is there")
    command.set_defaults(run=_data_info)
    command.add_argument("name", metavar="NAME", help="see vidhub data list")
    command.add_argument("root", nargs="?", metavar="ROOT", help="a copy to look at")

    command = commands.add_parser("check", help="decode every video of a data set and list the bad ones")
    command.set_defaults(run=_check)
    command.add_argument("name", metavar="NAME", help="see vidhub data list; folder for folders of videos")
    command.add_argument("root", metavar="ROOT", help="folder of the data set")
    command.add_argument("--split", help="only this split; else all")
    command.add_argument("--quick", action="store_true", help="only the first and the last frame of each video")
    command.add_argument("--workers", type=int, metavar="N", help="processes; else one per core")
    return parser


def _views(text: str) -> str | int | tuple[int, int]:
    if text in ("one", "test"):
        return text
    numbers = text.split("x")
    if len(numbers) > 2 or not all(n.isascii() and n.isdecimal() for n in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not one, test, a number of clips, or CLIPSxCROPS such as 10x3")
    return int(numbers[0]) if len(numbers) == 1 else (int(numbers[0]), int(numbers[1]))


# ----------------------------------------------------------------------------------------------------------- predict


# of predict: the modes in which an option does something, where these are not all
_MODES = {
    "task": ("recognition", "localization"),
    "views": ("recognition",),
    "draw": ("recognition",),
    "poses": ("recognition",),
    "dtype": ("recognition", "stream"),
    "batch_size": ("recognition", "localization"),
    "fps": ("stream",),
    "features": ("localization",),
    "proposals": ("localization",),
    "duration": ("localization",),
    "min_score": ("localization",),
    "timeline": ("localization",),
}


def _check_mode(args: argparse.Namespace) -> None:
    """See that no option is given that does nothing in this mode."""
    mode, default = "stream" if args.stream else args.task, _parser().parse_args(["predict"])
    for name, modes in _MODES.items():
        if mode not in modes and getattr(args, name) != getattr(default, name):
            flags = {"stream": "--stream", "localization": "--task localization", "recognition": "the recognition task"}
            places = " and ".join(flags[place] for place in modes)
            raise InputError(f"--{name.replace('_', '-')} is of use for {places} alone: leave it out.")


def _predict(args: argparse.Namespace) -> int:
    _check_mode(args)
    files = args.files
    if args.sample:
        files = [*files, str(importlib.resources.files(__package__) / "assets" / "sample.mp4")]
    if not files:
        raise InputError("no video given: name a file, or --sample for the clip that comes with vidhub.")
    if args.stream:
        return _predict_stream(args, files)
    if args.draw and len(files) > 1:
        raise InputError("--draw takes one video.")
    if args.task == "localization":
        return _predict_segments(args, files)
    from .engine.predict import predict

    model, seen = args.model, files
    if args.draw:
        from .datasets.pose_files import holds_poses
        from .engine.drawing import check_target

        check_target(args.draw)
        if holds_poses(files[0]):
            raise InputError(f"skeletons are drawn into their video: name that, and --poses {files[0]}.")
        model, seen = _look_once(args, files)
    results = predict(
        model,
        seen,
        topk=args.topk,
        views=args.views,
        device=args.device,
        dtype=args.dtype,
        batch_size=args.batch_size,
        errors="return",
        poses=None if seen is not files else args.poses,
    )
    failures = [result for result in results if isinstance(result, Exception)]
    predictions = [result for result in results if not isinstance(result, Exception)]
    if args.model is None and predictions:
        _tell_default(files[0])
    if args.json:
        _print_json([prediction.to_dict() for prediction in predictions])
    elif predictions:
        print("\n\n".join(f"{p.source}\n{p}" if len(files) > 1 else str(p) for p in predictions))
    if args.draw and predictions:
        from .engine.detection import ActionPrediction, BoxOverlay
        from .engine.drawing import draw_prediction, draw_video

        if isinstance(predictions[0], ActionPrediction):
            draw_video(files[0], args.draw, overlay=BoxOverlay(predictions[0]))
            return 0
        poses, layout = (None, "coco") if seen is files else (seen[0], model.data_config.layout)
        draw_prediction(files[0], args.draw, predictions[0], poses, layout)
    for error in failures:
        _complain(error)
    return 2 if failures else 0


def _look_once(args: argparse.Namespace, files: list[str]) -> tuple[Any, list[Any]]:
    """The network and, if it takes skeletons, those in the video: they are drawn too, and found only once."""
    from .engine.poses import poses_for
    from .models._factory import create_model

    model = create_model(args.model or tables.EMBEDDED, pretrained=True)
    if isinstance(model.data_config, SegmentConfig):
        raise InputError("--draw writes classes of whole videos; segments are drawn by --task localization --timeline.")
    poses = poses_for(model, files[0], args.views, args.device, args.poses)
    return model, files if poses is None else [poses]


def _predict_stream(args: argparse.Namespace, files: list[str]) -> int:
    if len(files) > 1 or args.model is None:
        raise InputError("--stream takes one file or camera and a TSM network: --model tsm_mobilenet_v2, for example.")
    from .engine.stream import predict_stream

    stream = predict_stream(args.model, files[0], fps=args.fps, topk=args.topk, device=args.device, dtype=args.dtype)
    for seconds, prediction in stream:
        if args.json:
            print(json.dumps({"seconds": round(seconds, 3), **prediction.to_dict()}), flush=True)
        else:
            best = zip(prediction.scores, prediction.labels, strict=True)
            print(f"{seconds:7.1f} s  " + "  ".join(f"{score:.3f} {label}" for score, label in best), flush=True)
    return 0


def _predict_segments(args: argparse.Namespace, files: list[str]) -> int:
    if args.model is None:
        raise InputError("--task localization needs --model, a localization network: local-dir:runs/mine, for example.")
    if args.timeline and len(files) > 1:
        raise InputError("--timeline draws one video: name one.")
    if args.timeline:
        from .engine.timeline import check_picture

        check_picture(args.timeline)  # before the work
    from .datasets.features import is_feature_file
    from .engine.localization import feature_network, predict_segments
    from .models._factory import create_model

    model, found, failures = create_model(args.model, pretrained=True), [], 0
    options = {name: getattr(args, name) for name in ("proposals", "duration", "topk", "min_score", "device")}
    if isinstance(getattr(model, "data_config", None), SegmentConfig) and not all(map(is_feature_file, files)):
        options["features"] = feature_network(model, args.features)  # once for all videos
    for file in files:
        try:
            found.append(predict_segments(model, file, batch_size=args.batch_size, **options))
        except (VidhubError, OSError) as error:
            failures += 1
            _complain(error)
    if args.timeline and found:
        from .engine.timeline import draw_timeline

        draw_timeline(found[0], args.timeline)
    if args.json:
        _print_json([prediction.to_dict() for prediction in found])
        return 2 if failures else 0
    for prediction in found:
        if len(files) > 1:
            print(prediction.source)
        rows = zip(prediction.segments, prediction.scores, prediction.labels, strict=True)
        _print_table(
            [{"start": f"{a:.2f}", "end": f"{b:.2f}", "score": f"{s:.3f}", "label": label} for (a, b), s, label in rows]
        ) if prediction.segments else print("no segments")
    return 2 if failures else 0


def _extract(args: argparse.Namespace) -> int:
    from .engine.extract import extract

    videos = args.videos[0] if len(args.videos) == 1 else args.videos
    options = {name: getattr(args, name) for name in ("every", "format", "batch_size", "device", "dtype")}
    failures = extract(args.model, videos, args.out, **options)
    for failure in failures if int(os.environ.get("RANK", 0)) == 0 else ():
        _note(f"vidhub: not extracted: {failure}")
    return 2 if failures else 0


def _bank(args: argparse.Namespace) -> int:
    from .engine.bank import write_bank

    settings = {"device": args.device, "workers": args.workers, **_data_options(args.data)}
    failed = False
    for split in args.split:
        count, failures = write_bank(args.model, args.dataset, args.root, args.out, split, **settings)
        print(f"{split}: {count} videos written to {args.out}")
        for failure in failures:
            _note(f"vidhub: not written: {failure}")
        failed = failed or bool(failures)
    return 2 if failed else 0


def _export(args: argparse.Namespace) -> int:
    from .engine.example import example_inputs
    from .engine.export import export
    from .models._factory import create_model

    kwargs = {} if args.num_classes is None else {"num_classes": args.num_classes}
    model = create_model(args.model, pretrained=not args.no_weights, **kwargs)
    example = example_inputs(model, args.fixed_batch or 1)
    print(export(model, example, args.out, dynamic_batch=args.fixed_batch is None))
    return 0


def _tell_default(file: str) -> None:
    weights = get_weights(tables.EMBEDDED)
    _note(
        f"Using the small embedded model {weights.name} ({' / '.join(weights.labels)}); for 400 everyday actions: "
        f"vidhub predict {shlex.quote(file)} --model slowfast_r50"
    )


# -------------------------------------------------------------------------------------------------------------- list


def _list(args: argparse.Namespace) -> int:
    pattern = args.pattern if any(c in args.pattern for c in "*?[") else f"*{args.pattern}*"
    archs = list_models(task=args.task, pretrained=args.pretrained)
    if args.weights:
        found = [WEIGHTS[name] for name in list_pretrained(pattern) if WEIGHTS[name].arch in archs]
        rows, cells = [_about_weights(w) for w in found], [_weights_cells(w) for w in found]
    else:
        found = fnmatch.filter(archs, pattern)
        rows, cells = [_about_model(arch) for arch in found], [_model_cells(arch) for arch in found]
    if args.json:
        _print_json(rows)
    elif cells:
        _print_table(cells)
    else:
        raise InputError(f"no name matches {pattern!r}; vidhub list shows them all.")
    return 0


def _about_model(arch: str) -> dict[str, Any]:
    return {"name": arch, "task": TASK_OF[arch], "weights": [w.name for w in _published(arch)]}


def _about_weights(weights: Weights) -> dict[str, Any]:
    return {"name": weights.name, "task": TASK_OF[weights.arch], **asdict(weights)}


def _model_cells(arch: str) -> dict[str, str]:
    published = _published(arch)
    cells = _weights_cells(published[0]) if published else {}
    cells = {key: cells.get(key, "-") for key in ("params", "dataset", "top-1", "mAP")}
    return {"model": arch, "task": TASK_OF[arch], "weights": str(len(published)), **cells}


def _weights_cells(weights: Weights) -> dict[str, str]:
    config = weights.data_config
    return {
        "weights": weights.name,
        "params": _millions(weights.num_params),
        "frames": f"{config.num_frames}x{config.stride}"
        if isinstance(config, DataConfig)
        else str(getattr(config, "num_frames", "-")),
        "dataset": weights.dataset or "-",
        "top-1": f"{weights.metrics['top1']:.1f}" if "top1" in weights.metrics else "-",
        "mAP": f"{weights.metrics['mAP']:.1f}" if "mAP" in weights.metrics else "-",
        "licence": weights.license or "-",
    }


def _published(arch: str) -> list[Weights]:
    """The default first."""
    return [w for w in WEIGHTS.values() if w.arch == arch]


# -------------------------------------------------------------------------------------------------------------- info


def _info(args: argparse.Namespace) -> int:
    arch = args.name.partition(".")[0]
    if arch not in TASK_OF:
        raise unknown_name("model", args.name, [*TASK_OF, *WEIGHTS])
    published = _published(arch)
    weights = get_weights(args.name) if published or args.name != arch else None
    from .engine.flops import cost_of
    from .models._registry import entry_point

    cost = cost_of(weights.name if weights else arch)
    summary = entry_point(arch).__doc__.splitlines()[0]
    if args.json:
        about = {"arch": arch, "task": TASK_OF[arch], "summary": summary, **cost._asdict()}
        about["data_config"] = asdict(cost.data_config)
        _print_json(about | {"weights": weights and _about_weights(weights), "published": [w.name for w in published]})
        return 0
    view = "x".join(map(str, cost.view[1:]))
    about = {
        "model": arch,
        "": summary,
        "task": TASK_OF[arch],
        "parameters": _millions(cost.num_params),
        "compute": f"{cost.multiply_adds / 1e9:.2f} GFLOPs (multiply-adds, one view {view})",
        **_input_lines(cost.data_config),
        **(_weights_lines(weights) if weights else {"weights": "none published"}),
    }
    others = [w.name for w in published if w is not weights]
    _print_lines(about | ({"other weights": "\n".join(others)} if others else {}))
    return 0


def _input_lines(config: AnyConfig) -> dict[str, str]:
    if isinstance(config, SegmentConfig):
        return {"features": config.summary}
    if isinstance(config, DetectionConfig):
        return {"clip": config.summary}
    if isinstance(config, AudioConfig):
        return {"sound": f"{config.summary}, {config.fmin:g} to {config.fmax:g} Hz, of {config.sample_rate} Hz mono"}
    if isinstance(config, SkeletonConfig):
        return {"skeletons": f"{config.summary}, normalised {config.normalize!r}"}
    rate = f" at {config.target_fps:g} frames a second" if config.target_fps else ""
    resize = f"short side {config.resize}" if isinstance(config.resize, int) else "{}x{}".format(*config.resize)
    mean, std = (" ".join(f"{v:.4g}" for v in values) for values in (config.mean, config.std))
    return {
        "frames": f"{config.num_frames}, stride {config.stride}{rate}, sampling {config.sampling!r}",
        "size": f"{resize}, crop {config.size} (test {config.test_size or config.size})",
        "pixels": f"mean {mean}, std {std}",
    }


def _weights_lines(weights: Weights) -> dict[str, str]:
    config, classes = weights.data_config, f"{weights.num_classes} classes" if weights.num_classes else "no classes"
    views = {}
    if not isinstance(config, SegmentConfig | DetectionConfig):
        clips, crops = config.views
        views["test views"] = f"{clips}x{crops} (clips x crops), averaged by {config.average}"
    metrics = ", ".join(f"{name} {value:g} %" for name, value in weights.metrics.items())
    return {
        "weights": weights.name + (" (the default)" if weights is _published(weights.arch)[0] else ""),
        "accuracy": metrics or "none published",
        **views,
        "dataset": f"{weights.dataset or 'unnamed'}, {classes}",
        "licence": weights.license or "not stated",
        "commercial use": "yes" if weights.commercial_use else "no",
        "paper": weights.paper or "none",
        "sources": "\n".join(weights.sources),
        "sha256": f"{weights.sha256}..." if 0 < len(weights.sha256) < 64 else weights.sha256 or "not published",
    }


# ------------------------------------------------------------------------------------------------- train and evaluate


def _train(args: argparse.Namespace) -> int:
    from .engine.recipe import published_recipes, read_recipe

    if args.recipes:
        print("\n".join(published_recipes()))
        return 0
    recipe = read_recipe(args.config or "", args.set)
    if args.show:
        print(recipe.to_yaml(all_keys=True), end="")
        return 0
    with _extra("train"):
        from .engine.load_report import report_loading
        from .engine.train import train
    if args.measure_loading:
        print(report_loading(recipe))
        return 0
    run = train(recipe, resume=args.resume)
    if int(os.environ.get("RANK", 0)) == 0:
        scores = _scores_line(run.best) if run.best else "no validation"
        print(
            f"{scores}\nbest weights: {run.folder}, last: {run.folder / 'last'}, report: {run.folder / 'report.html'}"
        )
    return 0


def _eval(args: argparse.Namespace) -> int:
    with _extra("train"):
        from .engine.evaluate import evaluate, fuse

    if args.fuse:
        result = fuse(args.fuse, args.weights)
        if args.out:
            result.save(os.path.join(args.out, "scores.npz"))
    elif args.root is None:
        raise InputError("vidhub eval takes MODEL DATASET ROOT, or --fuse with the folders of earlier evals.")
    else:
        names = ("split", "views", "out", "match_labels", "batch_size", "workers", "device", "dtype", "as_mmaction2")
        settings = {name: getattr(args, name) for name in (*names, "bank")} | _data_options(args.data)
        result = evaluate(args.model, args.dataset, args.root, detector=args.detect, **settings)
    if int(os.environ.get("RANK", 0)) == 0:
        _print_scores(result, args.json)
    return 0


def _print_scores(result: Any, as_json: bool) -> None:
    """Of an ``Evaluation`` or a ``BoxEvaluation``, or the metrics alone."""
    if isinstance(result, dict):
        _print_json(result) if as_json else print(_scores_line(result))
        return
    for failure in result.failures:
        _note(f"vidhub: not scored: {failure}")
    if hasattr(result, "persons"):
        about = {"persons": result.persons, "key_frames": len(result.rows), "not_scored": result.missed}
        _print_json(about | result.metrics) if as_json else print(result)
        return
    about = {"videos": len(result.names), "not_scored": len(result.failures), **result.metrics}
    _print_json(about) if as_json else print(f"{len(result.names)} videos: {_scores_line(result.metrics)}")


def _data_options(settings: Sequence[str]) -> dict[str, Any]:
    """``--data KEY=VALUE`` as ``dataset_args.KEY=VALUE`` of a recipe."""
    from .engine.recipe import Recipe, change_recipe

    return change_recipe(Recipe(), [f"dataset_args.{setting}" for setting in settings]).dataset_args


def _scores_line(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" + ("" if name == "loss" else " %") for name, value in scores.items())


@contextmanager
def _extra(name: str) -> Iterator[None]:
    """Turns the failing import of an optional package into advice."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("vidhub"):
            raise
        raise VidhubError(f"this needs {error.name}, which is not installed: pip install 'vidhub[{name}]'.") from None


# --------------------------------------------------------------------------------------------------------- data sets


def _data_list(args: argparse.Namespace) -> int:
    from .datasets.catalog import list_datasets

    rows = [
        {"name": d.name, "task": d.task, "classes": str(d.num_classes or "-"), "splits": " ".join(d.splits) or "any"}
        for d in list_datasets(args.task)
    ]
    if not rows:
        raise InputError(f"no data set is of the task {args.task!r}.")
    _print_table(rows)
    return 0


def _data_info(args: argparse.Namespace) -> int:
    from .datasets.catalog import dataset_info

    info = dataset_info(args.name)
    counts = ", ".join(f"{split} {count:,}" for split, count in info.counts.items())
    about = {
        "data set": info.title,
        "task": info.task,
        "classes": str(info.num_classes or "as found"),
        "splits": ", ".join(info.splits) or "any",
        "published": counts or "no counts",
        "had from": info.homepage or "your own",
        "licence": info.license or "your own",
        "paper": info.paper or "none",
        "layout": info.layout,
    }
    _print_lines(about)
    if args.root is None:
        return 0
    from .datasets.catalog import survey

    print()
    surveys = survey(args.name, args.root)
    _print_table([found.cells() for found in surveys])
    return 0 if all(found.complete for found in surveys) else 2


def _check(args: argparse.Namespace) -> int:
    from .datasets.catalog import check_dataset

    report, path = check_dataset(args.name, args.root, args.split, full=not args.quick, workers=args.workers)
    print(report)
    if path is None:
        _note(f"vidhub: the list of the bad videos cannot be written in {args.root!r}: may it be changed?")
    elif report.bad:
        _note(f"the list is in {path}; create_dataset and vidhub train leave these videos out.")
    return 2 if report.bad or report.problems else 0


# ------------------------------------------------------------------------------------------------------------ output


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


_NUMBERS = {"params", "frames", "top-1", "mAP", "classes", "records", "published", "missing", "start", "end", "score"}


def _print_table(rows: list[dict[str, str]]) -> None:
    """One row a line under the column names; columns of numbers stand to the right."""
    rows = [dict(zip(rows[0], rows[0], strict=True)), *rows]
    right = _NUMBERS & rows[0].keys()
    widths = {key: max(len(row[key]) for row in rows) for key in rows[0]}
    for row in rows:
        cells = [text.rjust(widths[key]) if key in right else text.ljust(widths[key]) for key, text in row.items()]
        print("  ".join(cells).rstrip())


def _print_lines(about: dict[str, str]) -> None:
    """``name  value`` lines; a value of several lines is indented."""
    width = max(map(len, about)) + 2
    for name, value in about.items():
        print(name.ljust(width) + value.replace("\n", "\n" + " " * width))
