"""Writes the optical digits as PNG files, into FOLDER/train/DIGIT, FOLDER/validation/DIGIT and FOLDER/test/DIGIT.

    python3 crates/lookahead-trainer/data/digits_png.py FOLDER

The parts and their order are those of `data.kind = "digits"`. A pixel of 0 to 16 becomes eight times that value: with
eight times the mean and the deviation, the normalized pixels are equal to the bit.
"""

import gzip
import pathlib
import struct
import sys
import zlib

SIZE = 8
TEST_EVERY = 7
VALIDATION = 241


def png(pixels):
    """A grayscale image of SIZE × SIZE bytes as a PNG file."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + pixels[start : start + SIZE] for start in range(0, SIZE * SIZE, SIZE))
    data = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(data)


def digits():
    """The part, the pixels and the digit of each image."""
    lines = gzip.open(pathlib.Path(__file__).with_name("digits.csv.gz"), "rt").read().split()
    images = [[int(float(number)) for number in line.split(",")] for line in lines]
    parts = ["test" if i % TEST_EVERY == TEST_EVERY - 1 else "train" for i in range(len(images))]
    for i in [i for i, part in enumerate(parts) if part == "train"][-VALIDATION:]:
        parts[i] = "validation"
    return [(part, image[:-1], image[-1]) for part, image in zip(parts, images)]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    for i, (part, pixels, digit) in enumerate(digits()):
        path = folder / part / str(digit) / f"{i:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(bytes(8 * pixel for pixel in pixels)))


if __name__ == "__main__":
    main()
