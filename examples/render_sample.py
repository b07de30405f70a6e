"""Draw the sample clip that ships with vidhub: two stick figures shove each other under a surveillance camera.

python examples/render_sample.py vidhub/assets/sample.mp4
"""

import math
import sys
from fractions import Fraction

import av
import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT, FPS, SECONDS = 320, 240, 25, 3


def draw_person(draw: ImageDraw.ImageDraw, x: float, facing: int, phase: float, colour: tuple[int, int, int]) -> None:
    """One figure with its feet at ``x``, arms and legs at ``phase`` of its movement (radians)."""
    hip, neck = (x, 150), (x + 4 * facing * math.sin(phase), 100)
    draw.ellipse([neck[0] - 10, 76, neck[0] + 10, 98], fill=(205, 170, 140))
    draw.line([neck, hip], fill=colour, width=12)
    for side in (0, math.pi):
        reach = 20 + 16 * math.sin(phase + side)
        elbow = (neck[0] + facing * reach * 0.6, 122 - 8 * math.sin(phase + side))
        hand = (neck[0] + facing * reach * 1.6, 112 - 14 * math.sin(phase + side))
        draw.line([neck, elbow, hand], fill=colour, width=6, joint="curve")
        knee = (x + 10 * math.sin(phase / 2 + side), 176)
        foot = (x + 16 * math.sin(phase / 2 + side), 204)
        draw.line([hip, knee, foot], fill=(40, 40, 55), width=7, joint="curve")


def draw_frame(i: int) -> Image.Image:
    t = i / FPS
    image = Image.new("RGB", (WIDTH, HEIGHT), (118, 122, 120))
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, 168, WIDTH, HEIGHT], fill=(92, 94, 96))
    draw.rectangle([24, 40, 84, 168], fill=(86, 76, 66))
    for x in range(110, WIDTH, 60):
        draw.line([x, 0, x, 168], fill=(104, 108, 106), width=2)
    push = 14 * math.sin(2 * math.pi * 1.3 * t)
    draw_person(draw, 140 + push, 1, 2 * math.pi * 2.1 * t, (150, 40, 40))
    draw_person(draw, 205 + push * 0.8, -1, 2 * math.pi * 1.9 * t + 1, (40, 70, 140))
    noise = np.random.default_rng(i).normal(0, 3, (HEIGHT, WIDTH, 1))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def main(path: str) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "30", "preset": "slow"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = WIDTH, HEIGHT, "yuv420p", Fraction(1, FPS)
        for i in range(FPS * SECONDS):
            container.mux(stream.encode(av.VideoFrame.from_image(draw_frame(i))))
        container.mux(stream.encode())


if __name__ == "__main__":
    main(sys.argv[1])
