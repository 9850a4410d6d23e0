"""Writes the optical digits as arrays of NumPy into FILE.npz: inputs, targets, test_inputs and test_targets.

    python3 crates/lookahead-trainer/data/digits_npz.py FILE.npz

NumPy itself isn't needed: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html describes the format.
"""

import struct
import sys
import zipfile

from digits_png import SIZE, digits


def npy(dtype, shape, data):
    """An array as a .npy file."""
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    # The data begins at a multiple of 64 bytes.
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    images = digits()
    parts = {
        "": [image for image in images if image[0] != "test"],
        "test_": [image for image in images if image[0] == "test"],
    }
    with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as archive:
        for prefix, part in parts.items():
            pixels = b"".join(bytes(image[1]) for image in part)
            classes = b"".join(struct.pack("<q", image[2]) for image in part)
            archive.writestr(f"{prefix}inputs.npy", npy("|u1", (len(part), 1, SIZE, SIZE), pixels))
            archive.writestr(f"{prefix}targets.npy", npy("<i8", (len(part),), classes))


if __name__ == "__main__":
    main()
