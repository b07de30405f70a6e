"""SSN from proposals and videos: what it learns from, training, evaluation and prediction with the commands."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from media import read_number, render
from PIL import Image

import vidhub
from vidhub.cli import main
from vidhub.datasets.catalog import create_dataset
from vidhub.datasets.proposals import read_proposals
from vidhub.datasets.snippets import SnippetDataset, collate_snippets
from vidhub.engine.prepare import create_network, with_transforms
from vidhub.engine.recipe import read_recipe
from vidhub.engine.ssn import read_fractions, read_statistics, snippet_loss, ssn_predict, ssn_scores
from vidhub.errors import InputError
from vidhub.transforms.proposals import stage_proposal

FRAMES = 60
# a true segment with a proposal near it, two that hold part of it, and one elsewhere
VIDEO = """# {i}
{name}
60
1
1
{label} 20 40
4
{label} 0.9 0.95 19 40
{label} 0.25 1.0 22 27
{label} 0.2 0.9 36 41
0 0.0 0.0 45 58
"""
TINY = ["model=ssn_r50", "model_args.backbone=test_resnet", "size=32", "epochs=1", "batch_size=2", "workers=0"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proposals")
    (folder / "videos").mkdir()
    for split in ("train", "val"):
        names = [f"{split}{i}" for i in range(2)]
        for name in names:
            render(folder / "videos" / f"{name}.mp4", frames=FRAMES)
        blocks = [VIDEO.format(i=i, name=name, label=i + 1) for i, name in enumerate(names)]
        (folder / f"proposals_{split}.txt").write_text("".join(blocks))
    (folder / "classes.txt").write_text("wave\njump\n")
    return folder


class Numbers:
    """In the place of a transform: the numbers that the frames show."""

    stack, modality, mirrored_class = 1, "video", {}

    def __call__(self, frames, mirror=None):
        return torch.tensor([float(read_number(frame)) for frame in frames])[None, :, None, None]


def test_snippets_lie_where_the_proposals_say(root):
    data = create_dataset("proposals", root, "train")
    assert data.classes == ("wave", "jump")
    snippets = SnippetDataset(data.records, Numbers(), data.classes)
    torch.manual_seed(0)
    sample = snippets[1]
    frames = sample.clips.reshape(8, 9).numpy()
    assert sample.kinds.tolist() == [0, 1, 1, 1, 1, 1, 1, 2]
    assert sample.labels.tolist() == [2] * 7 + [0]
    assert ((frames[0, 2:7] >= 19) & (frames[0, 2:7] < 40)).all()
    assert ((frames[1:7, 2:7] >= 22) & (frames[1:7, 2:7] < 41)).all()
    assert ((frames[7, 2:7] >= 45) & (frames[7, 2:7] < 58)).all()
    assert (frames[:, :2] < frames[:, 2:3]).all()
    assert (np.diff(frames[:, 2:7]) > 0).sum() >= 24
    assert not torch.equal(sample.clips, snippets[1].clips)
    assert sample.targets[1:].abs().sum() == 0


def test_places_are_drawn_inside_their_parts():
    g = np.random.default_rng(0)
    drawn = np.stack([stage_proposal(100, 151, 1000, generator=g).frames[:, 0] for _ in range(400)])
    # 51 frames hold 5 parts of 10, the 25 before them 2 of 12
    assert drawn[:, 2:7].min(0).tolist() == [100, 110, 120, 130, 140]
    assert drawn[:, 2:7].max(0).tolist() == [109, 119, 129, 139, 149]
    assert drawn[:, :2].min(0).tolist() == [75, 87]
    assert stage_proposal(950, 1000, 1000).frames[:, 0].max() < 1000


def test_a_video_without_a_kind_takes_another_ones(root):
    records = create_dataset("proposals", root, "train").records
    bare = read_proposals(root / "proposals_train.txt")[0]
    other = type(bare)("bare", 60, bare.truth, bare.proposals[:1], records[0].path)
    snippets = SnippetDataset([other, records[1]], Numbers())
    drawn = snippets.draw(0, np.random.default_rng(0))
    assert Counter((kind, video) for kind, video, _ in drawn) == {(0, 0): 1, (1, 1): 6, (2, 1): 1}
    assert snippets[0].labels.tolist()[1:7] == [2] * 6
    with pytest.raises(InputError, match="is incomplete: SSN needs all kinds"):
        SnippetDataset([other], Numbers())


def test_gradients_reach_every_parameter(root):
    data = create_dataset("proposals", root, "train")
    recipe = read_recipe("ssn_thumos14", [*TINY, "pretrained=false"])
    model = create_network(recipe, data)
    assert model.config["num_classes"] == 2
    assert np.shape(model.statistics) == (2, 2)
    snippets, _ = with_transforms(recipe, model, data, None)
    batch = collate_snippets([snippets[0], snippets[1]])
    assert batch.clips.shape == (16, 3, 9, 32, 32)
    snippet_loss(model.train(), batch).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_stored_flow_is_looked_at_in_stacks(root, tmp_path):
    for name in ("train0", "train1"):
        (tmp_path / "videos" / name).mkdir(parents=True)
        for i in range(FRAMES):
            for axis in "xy":
                picture = np.full((40, 52), 2 * i + 10 + 100 * (axis == "y"), np.uint8)
                Image.fromarray(picture).save(tmp_path / "videos" / name / f"flow_{axis}_{i + 1:05}.png")
    (tmp_path / "proposals_train.txt").write_text((root / "proposals_train.txt").read_text())
    data = create_dataset("proposals", tmp_path, "train", file_name="{}")
    recipe = read_recipe("ssn_thumos14", [*TINY, "pretrained=false", "model_args.in_chans=10"])
    model = create_network(recipe, data)
    clips = with_transforms(recipe, model, data, None)[0][0].clips
    assert clips.shape == (8, 10, 9, 32, 32)
    # five flows, one after the other, x before y
    steps = (clips[:, :, :, 0, 0] * 128).round()
    assert (steps[:, 2::2] - steps[:, :-2:2] == 2).all()
    assert (steps[:, 1::2] - steps[:, ::2] == 100).all()
    found = ssn_predict(model, data.records[0].path, data.records[0].fractions)
    assert np.isfinite(found.segments).all()


def test_from_proposals_to_segments(root, tmp_path, capsys, monkeypatch):
    pytest.importorskip("accelerate")
    monkeypatch.chdir(tmp_path)
    settings = [*TINY, "pretrained=false", "dataset=proposals", f"root={root}", "train_split=train", "val_split=val"]
    settings += ["val_every=1", "out=run", "tensorboard=false", "device=cpu"]
    assert main(["train", "--config", "ssn_thumos14", "--set", *settings]) == 0
    assert "mAP" in capsys.readouterr().out
    model = vidhub.create_model("local-dir:run")
    assert model.labels == ("wave", "jump")
    assert np.shape(model.statistics) == (2, 2)
    assert main(["eval", "local-dir:run", "proposals", str(root), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["mAP@0.5"] == ssn_scores(model, create_dataset("proposals", root, "val"))["mAP@0.5"]
    video, proposals = str(root / "videos" / "val0.mp4"), str(root / "proposals_val.txt")
    command = ["predict", "--task", "localization", video, "--model", "local-dir:run", "--topk", "3"]
    assert main([*command, "--proposals", proposals, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found[0]["duration"] == pytest.approx(FRAMES / 25)
    assert set(found[0]["labels"]) <= {"wave", "jump"}
    # what a network found can be judged again
    (tmp_path / "found.json").write_text(json.dumps(found))
    assert main([*command, "--proposals", "found.json"]) == 0
    capsys.readouterr()
    assert main(command) == 2
    assert "--proposals" in capsys.readouterr().err


def test_scores_say_which_proposals_are_right(root):
    data = create_dataset("proposals", root, "val")
    data.records = [replace(data.records[0], proposals=data.records[0].proposals[[0, 3]])]
    model = vidhub.create_model("ssn_r50", backbone="test_resnet", num_classes=2, statistics=[[0, 0], [1, 1]])
    with torch.no_grad():
        for fc in (model.head.activity, model.head.completeness, model.head.regression):
            fc.weight.zero_()
        model.head.completeness.bias.copy_(torch.tensor([1.0, 0.0]))
    # both proposals score alike; of equal ones the first, which is right, is taken first
    assert ssn_scores(model, data, (0.5, 0.97)) == {"mAP": 50, "mAP@0.5": 100, "mAP@0.97": 0}
    found = ssn_predict(model, data.records[0].path, data.records[0].fractions)
    assert found.scores[0] == pytest.approx(np.e / 2)


def test_statistics_that_a_network_does_not_know_are_those_of_the_list(root):
    data = create_dataset("proposals", root, "val")
    known = SnippetDataset(data.records, Numbers()).statistics
    np.testing.assert_array_equal(read_statistics(root / "proposals_val.txt"), known)
    assert read_statistics("found.json") is None


def test_proposals_that_are_not_there_are_named(root, tmp_path):
    with pytest.raises(InputError, match="no proposals of 'other'; it has those of val0, val1"):
        read_fractions(root / "proposals_val.txt", "other.mp4")
    (tmp_path / "a.json").write_text('[{"source": "a.mp4"}]')
    with pytest.raises(InputError, match="is not what vidhub predict"):
        read_fractions(tmp_path / "a.json", "a.mp4")
    (tmp_path / "proposals_val.txt").write_text("# 0\na\n1\n1\n1\n1 0.1 0.5\n0\n")
    with pytest.raises(InputError, match="denormalize_proposals"):
        create_dataset("proposals", tmp_path, "val")
    with pytest.raises(InputError, match="does not learn from proposals"):
        create_network(read_recipe("", ["model=bmn"]), create_dataset("proposals", root, "val"))


def test_proposals_that_are_empty_or_outside_are_left_out(tmp_path):
    path = tmp_path / "a.json"
    segments = [[1, 4], [3, 3], [8, 30], [12, 14], [-3, -1]]
    path.write_text(json.dumps([{"source": "a.mp4", "duration": 10.0, "segments": segments}]))
    np.testing.assert_allclose(read_fractions(path, "a.mp4"), [[0.1, 0.4], [0.8, 1.0]])
    path.write_text(json.dumps([{"source": "a.mp4", "duration": 10.0, "segments": segments[3:]}]))
    with pytest.raises(InputError, match=r"all 2 proposals of 'a' in .* are empty or outside of the video"):
        read_fractions(path, "a.mp4")


def test_predicting_without_proposals_says_how():
    model = vidhub.create_model("ssn_r50", backbone="test_resnet", num_classes=2)
    with pytest.raises(InputError, match=r"SSN judges proposals: .*--proposals FILE"):
        vidhub.predict(model, "a.mp4")
