"""Action detection end to end: data with boxes, training, and who does what in a video."""

import json
import shutil

import av
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import vidhub
from vidhub.cli import main
from vidhub.datasets.boxes import BoxDataset, collate_boxes
from vidhub.datasets.records import BoxesRecord
from vidhub.engine.box_losses import box_loss
from vidhub.engine.detection import Linker, action_loss, box_validation, detect_actions, predict_actions, score_boxes
from vidhub.errors import InputError, WeightsError
from vidhub.models.resnet3d import ResNet3D
from vidhub.models.roi_detector import RoIDetector
from vidhub.weights.types import DetectionConfig

SIZE, FRAMES, SIDE = 64, 12, 24
CLASSES = ("background", "square", "disc")


def figure(path, kind, start, step):
    """A bright figure that moves on noise; returns its boxes x1, y1, x2, y2 as fractions, one a frame."""
    rng, boxes = np.random.default_rng(int(start * 7 + step * 3 + kind)), []
    yy, xx = np.mgrid[:SIZE, :SIZE]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for t in range(FRAMES):
            x, y = start + step * t, start
            if kind == 1:
                inside = (abs(xx - x) < SIDE / 2) & (abs(yy - y) < SIDE / 2)
            else:
                inside = (xx - x) ** 2 + (yy - y) ** 2 < (SIDE / 2) ** 2
            picture = rng.integers(0, 60, (SIZE, SIZE, 3), dtype=np.uint8)
            picture[inside] = (255, 255, 255) if kind == 1 else (250, 40, 40)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")):
                container.mux(packet)
            boxes.append([(x - SIDE / 2) / SIZE, (y - SIDE / 2) / SIZE, (x + SIDE / 2) / SIZE, (y + SIDE / 2) / SIZE])
        for packet in stream.encode():
            container.mux(packet)
    return np.array(boxes, np.float32)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("figures"), []
    for i in range(12):
        kind = 1 + i % 2
        path = folder / f"{i}.mp4"
        boxes = figure(path, kind, 16 + 2 * (i // 2), 1 + i % 3)
        made.append(BoxesRecord(str(i), str(path), 0.6, boxes[6:7], ((kind,),)))
    return made


CONFIG = DetectionConfig(4, 1, size=SIZE, target_fps=None)


def tiny():
    torch.manual_seed(0)
    model = RoIDetector(ResNet3D(0, depth=18, spatial_strides=(1, 2, 2, 1)), num_classes=3, dropout=0.0, roi_size=4)
    model.data_config, model.labels = CONFIG, None
    return model


def test_samples_follow_the_picture(records):
    sample = BoxDataset(records, CONFIG, CLASSES)[0]
    assert sample.clip.shape == (3, 4, SIZE, SIZE)
    assert sample.labels.tolist() == [[0, 1, 0]]
    x1, y1, x2, y2 = sample.boxes[0].round().int().tolist()
    bright = sample.clip[:, 2].mean(0)  # the key frame is the third of four
    assert bright[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].mean() > bright.mean() + 1

    torch.manual_seed(1)
    for _ in range(6):  # mirrored or not, the figure is in its box
        mirrored = BoxDataset(records, CONFIG, CLASSES, training=True)[0]
        x1, y1, x2, y2 = mirrored.boxes[0].clamp(0, SIZE).round().int().tolist()
        assert mirrored.clip[:, 2].mean(0)[y1 + 4 : y2 - 4, x1 + 4 : x2 - 4].mean() > bright.mean() + 1


def test_batches_are_padded(records):
    data = BoxDataset(records, CONFIG, CLASSES)
    small = data[1]._replace(clip=data[1].clip[..., :40, :50])
    batch = collate_boxes([data[0], small])
    assert batch["clips"].shape == (2, 3, 4, SIZE, SIZE)
    assert not batch["clips"][1, :, :, 40:].any()
    assert not batch["clips"][1, ..., 50:].any()


def test_unknown_classes_are_named(records):
    with pytest.raises(InputError, match="there are 1"):
        BoxDataset(records, CONFIG, ["square"])[0]


def test_training_reaches_90_percent_map(records):
    model, data = tiny(), BoxDataset(records[:8], CONFIG, CLASSES, training=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    torch.manual_seed(0)
    for step in range(16):
        batch = collate_boxes([data[(4 * step + i) % 8] for i in range(4)])
        loss = action_loss(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scores = box_validation(BoxDataset(records[8:], CONFIG, CLASSES))(model)
    assert scores["mAP"] >= 90


def test_the_loop_takes_boxes(records, tmp_path):
    model = vidhub.create_model("slowonly_r50_ava", num_classes=3, dropout=0.0)
    model.data_config = CONFIG
    train_set, val_set = (
        BoxDataset(records[:2], CONFIG, CLASSES, training=True),
        BoxDataset(records[2:4], CONFIG, CLASSES),
    )
    run = vidhub.train(
        model=model,
        train_set=train_set,
        val_set=val_set,
        out=str(tmp_path),
        epochs=1,
        batch_size=2,
        device="cpu",
        mixup=0.0,
        cutmix=0.0,
        workers=0,
    )
    assert 0 <= run.metrics["mAP"] <= 100
    assert vidhub.create_model(f"local-dir:{tmp_path}").data_config == CONFIG


@pytest.fixture
def own(records, tmp_path):
    """A data set of one's own: four videos to train on, two to measure."""
    (tmp_path / "videos").mkdir()
    for split, chosen in (("train", records[:4]), ("val", records[4:6])):
        lines = ["video,time,x1,y1,x2,y2,label"]
        for record in chosen:
            name, corners = f"{record.video_id}.mp4", ",".join(map(str, record.boxes[0].tolist()))
            shutil.copy(record.path, tmp_path / "videos" / name)
            lines.append(f"{name},{record.timestamp},{corners},{CLASSES[record.labels[0][0]]}")
        (tmp_path / f"{split}.csv").write_text("\n".join(lines))
    return tmp_path


def test_recipe_for_boxes_of_ones_own(own, capsys):
    tmp_path, out = own, str(own / "run")
    settings = {"num_frames": 4, "stride": 1, "size": SIZE, "epochs": 1, "batch_size": 2, "workers": 0, "device": "cpu"}
    run = vidhub.train(model="slowonly_r50_ava", dataset="boxes", root=str(tmp_path), out=out, **settings)
    config = vidhub.create_model(f"local-dir:{out}").data_config
    assert (config.activation, config.background, config.size) == ("softmax", False, SIZE)
    assert main(["eval", f"local-dir:{out}", "boxes", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mAP"] == pytest.approx(run.metrics["mAP"])
    with pytest.raises(InputError, match="task='detection'"):
        vidhub.train(model="x3d_xs", dataset="boxes", root=str(tmp_path), out=out + "2", **settings)


def test_a_bank_is_made_and_used(own, capsys):
    torch.manual_seed(0)
    teacher = vidhub.create_model("slowonly_r50_ava", num_classes=2)
    teacher.data_config = CONFIG
    vidhub.save_checkpoint(teacher, own / "teacher")
    bank, name = str(own / "bank"), f"local-dir:{own / 'teacher'}"
    make = ["bank", name, "boxes", str(own), "--out", bank, "--workers", "0"]
    assert main(make) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"train: 4 videos written to {bank}"
    last = own / "bank" / "4.mp4.safetensors"
    before = load_file(last)
    last.unlink()
    assert main(make) == 0  # only what is missing is made again
    assert "train: 0 videos" in capsys.readouterr().out
    after = load_file(last)
    assert before.keys() == after.keys() == {"0"}
    assert torch.equal(before["0"], after["0"])

    settings = {"num_frames": 4, "stride": 1, "size": SIZE, "epochs": 1, "batch_size": 2, "workers": 0, "device": "cpu"}
    what = {"model": "slowonly_r50_lfb_max_ava", "dataset": "boxes", "root": str(own), "out": str(own / "run")}
    run = vidhub.train(**what, **settings, bank=bank)
    evaluate = ["eval", f"local-dir:{own / 'run'}", "boxes", str(own), "--json", "--workers", "0"]
    assert main([*evaluate, "--bank", bank]) == 0
    assert json.loads(capsys.readouterr().out)["mAP"] == pytest.approx(run.metrics["mAP"])
    assert main(evaluate) == 2
    assert "make a feature bank" in capsys.readouterr().err
    last.unlink()
    assert main([*evaluate, "--bank", bank]) == 2
    assert "has nothing of '4.mp4'" in capsys.readouterr().err


def test_tubes_are_scored_where_frames_are_annotated(records):
    tubes = [
        BoxesRecord(r.video_id, r.path, t, r.boxes, ((c,),), (0,), first_second=1, in_frames=True)
        for r, c in zip(records[:2], (1, 2), strict=True)
        for t in (6, 7, 8)
    ]
    scores = score_boxes(tiny(), BoxDataset(tubes, CONFIG, CLASSES))
    # a network without training says much the same of both: each class has one tube right
    assert set(scores) == {"mAP", "video mAP@0.2", "video mAP@0.5"}
    assert scores["video mAP@0.5"] >= 50


@pytest.mark.parametrize(
    ("source", "detector"), [("slowonly_r50", "slowonly_r50_ava"), ("vit3d_base", "vit3d_base_ava")]
)
def test_a_trunk_starts_from_a_recognition_network(source, detector, tmp_path):
    torch.manual_seed(3)
    source = vidhub.create_model(source, num_classes=5)
    vidhub.save_checkpoint(source, tmp_path)
    model = vidhub.create_model(detector, pretrained=f"local-dir:{tmp_path}", num_classes=3)
    known = {key.removeprefix("head."): value for key, value in source.state_dict().items()}
    assert all(torch.equal(value, known[key]) for key, value in model.trunk.state_dict().items())
    with pytest.raises(WeightsError, match="not the recognition network of this detector's trunk"):
        vidhub.create_model("slowfast_r50_ava", pretrained=f"local-dir:{tmp_path}")


def test_frames_count_where_seconds_do_not(records):
    path = records[0].path
    counted = BoxesRecord("0", path, 7, records[0].boxes, ((1,),), first_second=1, in_frames=True)
    by_frame, by_time = (BoxDataset([r], CONFIG, CLASSES)[0].clip for r in (counted, records[0]))
    assert torch.equal(by_frame, by_time)  # frame 7 of 10 a second is at 0.6 seconds


def brightest(frame):
    """A person detector for these figures: the box of what is bright."""
    y, x = np.nonzero(frame[0].numpy() > 128)
    return np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], np.float32) if len(x) else np.zeros((0, 4))


def test_who_does_what_in_a_video(records, tmp_path):
    from vidhub.engine.detection import BoxOverlay
    from vidhub.engine.drawing import draw_video

    model = tiny().eval()
    model.labels = CLASSES[1:]
    keys = list(detect_actions(model, records[0].path, brightest, every=0.4))
    assert [key.frame for key in keys] == [2, 6, 10]
    assert {track for key in keys for track in key.tracks} == {0}
    found = vidhub.predict(model, records[0].path, detector=brightest)
    assert set(found.labels[0]) == {"square", "disc"}  # never the background
    assert "person 0" in str(found)

    found = predict_actions(model, records[0].path, detector=brightest, every=0.4)
    target = tmp_path / "drawn.mp4"
    draw_video(records[0].path, target, overlay=BoxOverlay(found))
    with vidhub.VideoReader(str(target)) as drawn, vidhub.VideoReader(records[0].path) as plain:
        assert len(drawn) == len(plain)
        change = (drawn.get_frames([6]).float() - plain.get_frames([6]).float()).abs().mean()
    assert change > 1


def test_nobody_there():
    found = predict_actions(tiny(), np.zeros((40, 32, 32, 3), np.uint8), detector=lambda frame: [])
    assert str(found) == "nobody was found"
    assert found.boxes == []


def test_a_lost_person_is_found_again_for_a_while():
    link, here, there = Linker(max_gap=1), np.array([[0, 0, 10, 10.0]]), np.array([[50, 50, 60, 60.0]])
    none = np.zeros((0, 4))
    assert [link(b) for b in (here, there, here + 1, np.concatenate((there, here)))] == [[0], [1], [0], [1, 0]]
    assert [link(b) for b in (none, none, here)] == [[], [], [2]]


def test_focal_weights_the_uncertain():
    logits, labels = torch.tensor([[0.0, 4, -4]]), torch.tensor([[0.0, 1, 0]])
    assert box_loss(logits, labels, gamma=2.0) < 0.01 * box_loss(logits, labels)


def test_the_person_detector_is_torchvisions():
    from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights, fasterrcnn_resnet50_fpn

    from vidhub.engine.detection import faster_rcnn
    from vidhub.weights.tables.detection import FASTER_RCNN

    with torch.device("meta"):
        ours, theirs = faster_rcnn(), fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    shapes = {name: value.shape for name, value in ours.state_dict().items()}
    known = {name: value.shape for name, value in theirs.state_dict().items() if "num_batches" not in name}
    assert shapes == known
    published = FasterRCNN_ResNet50_FPN_Weights.COCO_V1
    assert published.url == FASTER_RCNN.url
    assert sum(p.numel() for p in ours.parameters()) == published.meta["num_params"] == FASTER_RCNN.num_params
