"""The command line, in this process and in one of its own."""

import dataclasses
import json
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from media import cut, render

import vidhub
from vidhub.cli import main
from vidhub.models._index import MODULES, TASK_OF
from vidhub.weights import tables, types

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A tiny network on disk, as --model takes it."""
    torch.manual_seed(0)
    model = vidhub.create_model("x3d_xs", num_classes=3)
    model.labels = ("run", "sit", "swim")
    model.data_config = dataclasses.replace(model.data_config, size=64, resize=64, test_size=64, views=(2, 3))
    folder = tmp_path_factory.mktemp("saved")
    vidhub.save_checkpoint(model, folder)
    return f"local-dir:{folder}"


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return str(render(tmp_path_factory.mktemp("video") / "a clip.mp4", frames=20))


@pytest.fixture
def embedded(saved, monkeypatch):
    """That network in the place of the one in the package."""
    path = f"package:{saved.partition(':')[2]}/model.safetensors"
    config = vidhub.create_model(saved).data_config
    entry = types.Weights(path, "x3d_xs", "tiny", 3, config, 0, label_set="tiny", license="apache-2.0")
    monkeypatch.setitem(tables.WEIGHTS, entry.name, entry)
    monkeypatch.setattr(tables, "EMBEDDED", entry.name, raising=False)
    monkeypatch.setattr(types, "read_labels", lambda name: ("run", "sit", "swim"))


def run(*arguments):
    """In a process of its own."""
    command = [sys.executable, "-m", "vidhub", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


# ----------------------------------------------------------------------------------------------------------- predict


def test_predict_prints_a_class_a_line(saved, video, capsys):
    assert main(["predict", video, "--model", saved]) == 0
    out, err = capsys.readouterr()
    assert out == f"{vidhub.predict(saved, video)}\n"
    assert sorted(line.split("  ")[1] for line in out.splitlines()) == ["run", "sit", "swim"]
    assert err == ""


def test_predict_as_json(saved, video, capsys):
    options = ["--topk", "2", "--views", "2x3", "--batch-size", "4", "--device", "cpu", "--dtype", "float32"]
    assert main(["predict", video, video, "--model", saved, "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = vidhub.predict(saved, [video, video], topk=2, views=(2, 3), batch_size=4, device="cpu", dtype="float32")
    assert found == [prediction.to_dict() for prediction in expected]


@pytest.mark.parametrize(("text", "views"), [("one", "one"), ("test", "test"), ("3", 3), ("2x1", (2, 1))])
def test_views(saved, video, capsys, text, views):
    assert main(["predict", video, "--model", saved, "--views", text]) == 0
    assert capsys.readouterr().out == f"{vidhub.predict(saved, video, views=views)}\n"


@pytest.mark.usefixtures("embedded")
def test_the_default_model_introduces_itself(video, capsys):
    assert main(["predict", video]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert err == (
        "Using the small embedded model x3d_xs.tiny (run / sit / swim); for 400 everyday actions: "
        f"vidhub predict '{video}' --model slowfast_r50\n"
    )


@pytest.mark.usefixtures("embedded")
def test_sample(capsys):
    assert main(["predict", "--sample", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["source"].endswith("sample.mp4")


def test_one_bad_file_among_good_ones(saved, video, capsys):
    assert main(["predict", video, "missing.mp4", video, "--model", saved]) == 2
    out, err = capsys.readouterr()
    assert [block.splitlines()[0] for block in out.split("\n\n")] == [video, video]
    assert err == "vidhub: there is no video at 'missing.mp4'; check the path.\n"


def sound(path):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))


BAD_FILES = {
    "empty.mp4": lambda path: path.write_bytes(b""),
    "text.mp4": lambda path: path.write_text("This is no video.\n" * 100),
    "noise.mp4": lambda path: path.write_bytes(np.random.default_rng(0).bytes(20000)),
    "truncated.mp4": lambda path: cut(render(path), 0.5),
    "only_sound.wav": sound,
    "empty_folder": lambda path: path.mkdir(),
    "missing.mp4": lambda path: None,
    "no\nsuch\nfile.mp4": lambda path: None,
}


@pytest.mark.parametrize("name", BAD_FILES, ids=lambda name: name.split()[0])
def test_bad_files_are_told_in_one_line(saved, tmp_path, capfd, name):
    BAD_FILES[name](tmp_path / name)
    assert main(["predict", str(tmp_path / name), "--model", saved, "--json"]) == 2
    out, err = capfd.readouterr()
    assert json.loads(out) == []
    assert err.startswith("vidhub: ")
    assert err.count("\n") == 1
    assert name.split()[0] in err


BAD_COMMANDS = {
    "no command": ([], "COMMAND"),
    "unknown command": (["cook"], "invalid choice: 'cook'"),
    "unknown option": (["predict", "{video}", "--modle", "x3d_xs"], "--modle"),
    "no video": (["predict"], "no video given"),
    "unknown model": (["predict", "{video}", "--model", "slowfast_r5"], "did you mean 'slowfast_r50'"),
    "unknown tag": (["predict", "{video}", "--model", "x3d_xs.nothing"], "unknown weights 'x3d_xs.nothing'"),
    "no weights": (["predict", "{video}", "--model", "ipcsn_r50"], "no weights are published"),
    "no saved model": (["predict", "{video}", "--model", "local-dir:/nowhere"], "is no saved model"),
    "unknown device": (["predict", "{video}", "--model", "{saved}", "--device", "gpu"], "device 'gpu' cannot be used"),
    "unknown dtype": (["predict", "{video}", "--model", "{saved}", "--dtype", "int8"], "--dtype"),
    "unknown views": (["predict", "{video}", "--model", "{saved}", "--views", "all"], "'all' is not one, test"),
    "wrong views": (["predict", "{video}", "--model", "{saved}", "--views", "2x2"], "(2, 2)"),
    "no views": (["predict", "{video}", "--model", "{saved}", "--views", "0"], "not 0"),
    "topk": (["predict", "{video}", "--model", "{saved}", "--topk", "0"], "topk must be a positive number"),
    "topk no number": (["predict", "{video}", "--model", "{saved}", "--topk", "many"], "'many'"),
    "no such mode": (
        ["predict", "{video}", "--timeline", "x.png"],
        "--timeline is of use for --task localization alone",
    ),
    "no views of segments": (["predict", "f.npy", "--task", "localization", "--views", "9x9"], "--views is of use for"),
    "no batches of a stream": (["predict", "0", "--stream", "--batch-size", "2"], "--batch-size is of use for"),
    "unknown task": (["list", "--task", "recogntion"], "did you mean 'recognition'"),
    "no match": (["list", "resnest"], "no name matches '*resnest*'"),
    "info of unknown": (["info", "slowfast_r5"], "did you mean 'slowfast_r50'"),
    "info of unknown tag": (["info", "x3d_xs.ptv_k400_4x13"], "did you mean 'x3d_xs.ptv_k400_4x12'"),
    "info of unpublished": (["info", "ipcsn_r50.mm"], "unknown weights"),
}


@pytest.mark.parametrize("case", BAD_COMMANDS)
def test_bad_commands_are_told_in_one_line(saved, video, capsys, case):
    arguments, message = BAD_COMMANDS[case]
    assert main([a.format(video=video, saved=saved) for a in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("vidhub: ")
    assert err.count("\n") == 1
    assert message in err


# ------------------------------------------------------------------------------------------------------ list and info


def test_list(capsys):
    assert main(["list"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["model", "task", "weights", "params", "dataset", "top-1", "mAP"]
    assert [row.split()[0] for row in rows] == vidhub.list_models()
    assert [row.split()[-1] for row in rows if row.startswith("slowonly_r50_ava ")] == ["20.7"]
    assert len({row.index("recognition") for row in rows if "recognition" in row}) == 1


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["slowfast"], vidhub.list_models("*slowfast*")),
        (["slow*_r101"], vidhub.list_models("slow*_r101")),
        (["--task", "recognition"], vidhub.list_models(task="recognition")),
        (["csn", "--pretrained"], vidhub.list_models("*csn*", pretrained=True)),
        (["ptv_k400", "--weights"], vidhub.list_pretrained("*ptv_k400*")),
        (["--weights", "--task", "audio"], ["tsn_r18_audio.mm_k400"]),
        (["no such name"], []),
    ],
)
def test_list_as_json(capsys, options, names):
    assert main(["list", "--json", *options]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == names


def test_info(capsys):
    assert main(["info", "slowfast_r50"]) == 0
    out = capsys.readouterr().out
    weights = vidhub.get_weights("slowfast_r50")
    for text in (
        "65.71 GFLOPs (multiply-adds, one view 32x256x256)",
        "34.57 M",
        "slowfast_r50.mm_k400_8x8 (the default)",
    ):
        assert text in out
    for text in (
        weights.url,
        weights.sha256,
        weights.paper,
        weights.license,
        "76.8 %",
        "400 classes",
        "commercial use",
    ):
        assert text in out
    assert out.count("slowfast_r50.") == len(vidhub.list_pretrained("slowfast_r50.*"))


# of the papers and model zoos, in units of 1e9
@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("c3d", 38.5),
        ("i3d_r50_nl_dot_product", 59.3),
        ("mc3_18", 43.34),
        ("r2plus1d_18", 40.52),
        ("s3d", 8 * 17.98),  # published for 16 frames, and this is for 128
        ("slowfast_r50.ptv_k400_8x8", 65.71),
        ("slowonly_r50.ptv_k400_8x8", 54.52),
    ],
)
def test_multiply_adds(capsys, name, published):
    assert main(["info", name, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["multiply_adds"] / 1e9 == pytest.approx(published, rel=5e-3)
    assert about["num_params"] == vidhub.get_weights(name).num_params
    assert about["weights"]["sha256"] == vidhub.get_weights(name).sha256


@pytest.mark.parametrize("name", [names[0] for _, names in MODULES.values()])
def test_info_of_a_model_of_each_file(capsys, name):
    assert main(["info", name, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["arch"] == name
    assert about["multiply_adds"] > 1e8
    if TASK_OF[name] != "skeleton":
        config = about["data_config"]
        assert about["view"][0] == config.get("feature_dim", len(config.get("mean", [0])))  # sound has one channel


def test_info_without_weights(capsys):
    assert main(["info", "ipcsn_r50"]) == 0
    out = capsys.readouterr().out
    assert "14.40 M" in out
    assert "none published" in out


# ------------------------------------------------------------------------------------------------------- the process


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"vidhub {vidhub.__version__}\n"


def test_as_a_process(saved, video):
    done = run("predict", video, "--model", saved, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[0]["source"] == video


@pytest.mark.parametrize("arguments", [("predict", "missing.mp4"), ("info", "nothing"), ("predict", "--topk")])
def test_failing_as_a_process(saved, arguments):
    done = run(*arguments, *(["--model", saved] if "missing.mp4" in arguments else []))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("vidhub: ")
    assert done.stderr.count("\n") == 1


def test_list_imports_nothing_heavy():
    code = "import sys; from vidhub.cli import main; main(['list', '--weights']); print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "av", "timm", "huggingface_hub"} & set(done.stdout.split())


def test_a_reader_that_stops_early():
    command = f"{sys.executable} -m vidhub list --json --weights | head -c 10"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (141, "")


def test_interruption(saved, video, monkeypatch, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("vidhub.engine.predict.predict", interrupt)
    assert main(["predict", video, "--model", saved]) == 130
    assert capsys.readouterr() == ("", "")


# ------------------------------------------------------------------------------------------------- training and data


def test_train_shows_its_recipe(capsys):
    assert main(["train", "--config", "slowonly_r50_k400", "--set", "lr=0.5", "model_args.dropout=0.8", "--show"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["lr"], shown["model_args"], shown["epochs"]) == (0.5, {"dropout": 0.8}, 256)


def test_train_lists_the_published_recipes(capsys):
    assert main(["train", "--recipes"]) == 0
    assert "slowfast_r50_k400" in capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--config", "slowonly_r50_k40"], "did you mean 'slowonly_r50_k400'"),
        (["train", "--set", "epoch=3"], "did you mean 'epochs'"),
        (["train", "--set", "root=/no/such/folder"], "there is no folder '/no/such/folder'"),
        (["eval", "x3d_xs"], "vidhub eval takes MODEL DATASET ROOT"),
        (["eval", "--fuse", "/no/such/scores"], "holds no scores"),
        (["eval", "slowfast_r50_ava", "ucf101_24", ".", "--split", "val"], "it is one of 'train', 'test'"),
        (["data", "info", "kinetic400"], "did you mean 'kinetics400'"),
        (["data", "list", "--task", "cooking"], "no data set is of the task 'cooking'"),
        (["check", "ntu60_2d", "/no/such/folder"], "no folder"),
    ],
)
def test_wrong_training_and_data_commands(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_data_list_and_info(capsys):
    assert main(["data", "list", "--task", "localization"]) == 0
    assert "thumos14" in capsys.readouterr().out
    assert main(["data", "info", "ucf101"]) == 0
    shown = capsys.readouterr().out
    assert "https://www.crcv.ucf.edu/data/UCF101.php" in shown
    assert "train 9,537" in shown
    assert "trainlist01.txt" in shown


def test_own_boxes_are_checked(tmp_path, capsys):
    header, row = "video,time,x1,y1,x2,y2,label\n", "a.mp4,0,0,0,1,1,walk\n"
    (tmp_path / "train.csv").write_text(header + row)
    (tmp_path / "val.csv").write_text(header + row.replace("walk", "") + row.replace("1,1", "1,2"))
    (tmp_path / "videos").mkdir()
    render(tmp_path / "videos" / "a.mp4", frames=2)
    assert main(["check", "boxes", str(tmp_path), "--workers", "1"]) == 2
    shown = capsys.readouterr().out
    assert "1 videos checked, 2 frames decoded: 0 bad" in shown
    assert "val.csv, line 2: label missing" in shown
    assert "val.csv, line 3: expected corners" in shown
    assert main(["data", "info", "boxes", str(tmp_path)]) == 2
    assert "val.csv, line 2: label missing" in capsys.readouterr().out
    (tmp_path / "val.csv").write_text(header + row)
    assert main(["check", "boxes", str(tmp_path), "--workers", "1"]) == 0


def test_data_info_looks_at_a_copy(tmp_path, capsys):
    (tmp_path / "train" / "a").mkdir(parents=True)
    assert main(["data", "info", "video_list", str(tmp_path)]) == 2
    assert "there is no file" in capsys.readouterr().out
    (tmp_path / "train.txt").write_text("a.mp4 0\n")
    assert main(["data", "info", "video_list", str(tmp_path)]) == 2
    assert "1 files are missing" in capsys.readouterr().out
    render(tmp_path / "a.mp4", frames=2)
    assert main(["data", "info", "video_list", str(tmp_path)]) == 0
    assert "complete" in capsys.readouterr().out
