"""Videos of bright figures in boxes, and what finds and names them."""

import shutil
from pathlib import Path

import av
import numpy as np
import torch

from vidhub.datasets.records import BoxesRecord
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


def figures(folder, count):
    """Records of videos of a white square or a red disc, a key frame in each."""
    made = []
    for i in range(count):
        kind = 1 + i % 2
        boxes = figure(folder / f"{i}.mp4", kind, 16 + 2 * (i // 2), 1 + i % 3)
        made.append(BoxesRecord(str(i), str(folder / f"{i}.mp4"), 0.6, boxes[6:7], ((kind,),)))
    return made


CONFIG = DetectionConfig(4, 1, size=SIZE, target_fps=None)


def tiny(num_classes=3):
    """A detector that sees these videos whole."""
    torch.manual_seed(0)
    trunk = ResNet3D(0, depth=18, spatial_strides=(1, 2, 2, 1))
    model = RoIDetector(trunk, num_classes=num_classes, dropout=0.0, roi_size=4)
    model.data_config, model.labels = CONFIG, None
    return model


def write_own(folder, **splits):
    """Records as a data set of one's own, of which the videos are copied."""
    (folder / "videos").mkdir(exist_ok=True)
    for split, records in splits.items():
        lines = ["video,time,x1,y1,x2,y2,label"]
        for record in records:
            name, corners = f"{record.video_id}.mp4", ",".join(map(str, record.boxes[0].tolist()))
            shutil.copy(record.path, folder / "videos" / name)
            lines.append(f"{name},{record.timestamp},{corners},{CLASSES[record.labels[0][0]]}")
        Path(folder, f"{split}.csv").write_text("\n".join(lines) + "\n")
    return folder


def brightest(frame):
    """A person detector for these figures: the box of what is bright."""
    y, x = np.nonzero(frame[0].numpy() > 128)
    return np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], np.float32) if len(x) else np.zeros((0, 4))
