"""Networks measured on data sets of segments: by name and as objects, by several processes, and files of detections."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import vidhub
from vidhub.cli import main
from vidhub.engine.localization import find_segments, open_features, predict_segments, score_segments, validation
from vidhub.engine.recipe import Recipe
from vidhub.errors import InputError

pytest.importorskip("accelerate")  # evaluate and train


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """50 Salads of two folds with two videos each; of the second fold the classes are the other way round."""
    folder, g = tmp_path_factory.mktemp("salads"), np.random.default_rng(0)
    (folder / "features").mkdir()
    videos = {}
    for fold in (1, 2):
        for i in range(2):
            name = f"fold{fold}_{i}"
            np.save(folder / "features" / f"{name}.npy", g.normal(size=(40, 6)).astype(np.float32))
            notes = [{"segment": [4 + i, 15], "label": fold}, {"segment": [22, 34], "label": 3 - fold}]
            videos[name] = {"duration_frame": 40, "fold": fold, "annotations": notes}
    (folder / "annotations.json").write_text(json.dumps(videos))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    model = vidhub.create_model("actionformer", dim=16, feature_dim=6, num_classes=2)
    with torch.no_grad():
        model.offsets.out.bias.fill_(4.0)
    model.labels = ("1", "2")
    return model


@pytest.fixture(scope="module")
def run(root, model, tmp_path_factory):
    """The folder of a training run on the second fold."""
    folder = tmp_path_factory.mktemp("run")
    for name in ("", "last"):
        vidhub.save_checkpoint(model, folder / name)
    (folder / "recipe.yaml").write_text(Recipe(dataset="salads50", dataset_args={"fold": 2}).to_yaml())
    return f"local-dir:{folder}"


def scores_of(model, root, fold):
    data = open_features(vidhub.create_dataset("salads50", root, "test", fold=fold), model)
    return score_segments(data, find_segments(model, data), (0.1, 0.2, 0.3, 0.4, 0.5))


def test_evaluate_measures_segments_too(root, model):
    wanted = scores_of(model, root, 2)
    assert vidhub.evaluate(model, "salads50", root, "test", fold=2) == wanted
    data = vidhub.create_dataset("salads50", root, "test", fold=2)
    assert vidhub.evaluate(model, data, thresholds=(0.1, 0.2, 0.3, 0.4, 0.5)) == wanted
    assert wanted["mAP@0.1"] > 0


def test_a_trained_network_is_measured_with_its_own_options(root, model, run):
    first, second = scores_of(model, root, 1), scores_of(model, root, 2)
    assert first != second
    assert vidhub.evaluate(run, "salads50", root, "test") == second
    assert vidhub.evaluate(f"{run}/last", "salads50", root, "test") == second
    assert vidhub.evaluate(run, "salads50", root, "test", fold=1) == first


def test_the_command_takes_options_of_the_data_set(root, model, run, capsys):
    assert main(["eval", run, "salads50", str(root), "--split", "test", "--data", "fold=1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == pytest.approx(scores_of(model, root, 1))


def test_detections_are_kept_and_can_be_measured_again(root, run, tmp_path, capsys):
    command = ["salads50", str(root), "--split", "test", "--data", "fold=2", "--json"]
    assert main(["eval", run, *command, "--out", str(tmp_path / "kept")]) == 0
    first = json.loads(capsys.readouterr().out)
    content = json.loads((tmp_path / "kept" / "detections.json").read_text())
    assert set(content["results"]) == {"fold2_0", "fold2_1"}
    assert set(content["results"]["fold2_0"][0]) == {"segment", "score", "label"}
    assert json.loads((tmp_path / "kept" / "metrics.json").read_text()) == first
    assert main(["eval", str(tmp_path / "kept" / "detections.json"), *command]) == 0
    assert json.loads(capsys.readouterr().out) == first


def test_proposals_are_measured_again_without_classes(root, tmp_path):
    tem = vidhub.create_model("bsn_tem", feature_dim=6, hidden_dim=8)
    first = vidhub.evaluate(tem, "salads50", root, "test", out=tmp_path)
    assert "auc" in first
    assert vidhub.evaluate(str(tmp_path / "detections.json"), "salads50", root, "test") == first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"mAP": 3.0}, "holds no detections"),
        ({"results": {"a": [{"segment": [1], "score": 1}]}}, "holds no detections"),
        ({"results": {"a": []}}, "has none of the 2 videos, such as 'fold1_0'"),
    ],
)
def test_other_files_are_no_detections(root, tmp_path, content, message):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        vidhub.evaluate(str(tmp_path / "a.json"), "salads50", root, "test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--views", "2"], "views is of no use"),
        (["--match-labels"], "match_labels is of no use"),
        (["--dtype", "float16"], "dtype is of no use"),
        (["--bank", "b"], "bank only for data sets with boxes"),
        (["--data", "fold"], "KEY=VALUE"),
        (["--data", "fold=7"], "has no fold 7"),
    ],
)
def test_options_that_cannot_apply_are_refused(root, run, capsys, options, message):
    assert main(["eval", run, "salads50", str(root), "--split", "test", *options]) == 2
    assert message in capsys.readouterr().err


def test_a_network_that_finds_no_segments_is_told(root):
    with pytest.raises(InputError, match="X3D finds no segments"):
        vidhub.evaluate(vidhub.create_model("x3d_xs", num_classes=2), "salads50", root, "test")


def test_processes_share_the_videos_and_tell_once(root, run, tmp_path, capsys):
    port = str(22000 + os.getpid() % 20000)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
    command = ["eval", run, "salads50", str(root), "--split", "test", "--json", "--out"]
    done = subprocess.run([*launch, "-m", "vidhub", *command, str(tmp_path / "two")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert main([*command, str(tmp_path / "one")]) == 0
    assert json.loads(done.stdout) == pytest.approx(json.loads(capsys.readouterr().out))
    results = [json.loads((tmp_path / name / "detections.json").read_text())["results"] for name in ("one", "two")]
    assert list(results[0]) == list(results[1])


@pytest.mark.parametrize("given", [{"views": 7}, {"labels": ["x"]}, {"poses": 3}, {"dtype": "float16"}])
def test_predict_refuses_what_segments_do_not_have(root, model, given):
    with pytest.raises(InputError, match=f"{next(iter(given))} cannot be had of networks that find segments"):
        vidhub.predict(model, "features.npy", **given)


VALIDATE = """
import sys, torch, vidhub
from vidhub.engine import localization as module
torch.distributed.init_process_group("gloo")
model = vidhub.create_model(sys.argv[1])
data = module.open_features(vidhub.create_dataset("salads50", sys.argv[2], "test", fold=2), model)
original, looked_at = module.segments_of, []
module.segments_of = lambda *args, **settings: looked_at.append(1) or original(*args, **settings)
scores = module.validation(data)(model)
print(len(looked_at), len(data), *scores.values())
torch.distributed.destroy_process_group()
"""


def test_processes_that_train_share_the_validation(root, model, tmp_path):
    vidhub.save_checkpoint(model, tmp_path)
    port = str(24000 + os.getpid() % 20000)
    environment = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-c", VALIDATE, f"local-dir:{tmp_path}", str(root)]
    both = [
        subprocess.Popen(command, env={**environment, "RANK": rank}, stdout=subprocess.PIPE, text=True) for rank in "01"
    ]
    lines = [process.communicate(timeout=120)[0] for process in both]
    assert lines[0] == lines[1]
    looked_at, videos, *scores = map(float, lines[0].split())
    assert looked_at == -(-videos // 2)
    data = open_features(vidhub.create_dataset("salads50", root, "test", fold=2), model)
    assert scores == pytest.approx(list(validation(data)(model).values()))


def test_predict_finds_segments(root, model):
    path = str(root / "features" / "fold1_0.npy")
    found = vidhub.predict(model, [path, path], topk=3)
    assert found == [predict_segments(model, path, topk=3)] * 2
    assert str(found[0]).splitlines()[0].split()[-1] in model.labels
    missing = vidhub.predict(model, ["no.npy"], errors="return")
    assert isinstance(missing[0], InputError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"duration": -4.0}, "duration must be a number of seconds above 0, not -4.0"),
        ({"topk": 0}, "topk must be a positive number, not 0"),
        ({"batch_size": -2}, "batch_size must be a positive number, not -2"),
    ],
)
def test_wrong_numbers_are_told(root, model, options, message):
    with pytest.raises(InputError, match=message):
        predict_segments(model, root / "features" / "fold1_0.npy", **options)
