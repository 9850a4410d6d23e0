#!/usr/bin/env python3
"""Writes the requirements-*.txt next to this file: which wheels `setup.py` fetches, with their SHA-256.

Run it once for each new version of libtorch (after changing VERSION in setup.py), and read the diff:

    python3 crates/lookahead-sys/libtorch/pin.py

pip resolves torch's dependencies (`pip install --dry-run --report`, pip 22.2 or newer) for each architecture,
on any machine, and downloads only metadata. The wheel for CPython 3.12 serves every Python, because only its
libraries and headers are used. Of the dependencies only NVIDIA's libraries are kept: the rest (triton, sympy,
...) is Python. HEADERS adds the headers of CUDA that these wheels lack and c10d's NCCL backend includes; for a
new version of libtorch, change them to the CUDA that it is built with.
"""

import json
import os
import subprocess
import sys
import urllib.request

from setup import ARCHITECTURES, HERE, VERSION, Pin, requirements_file

# The only CUDA libraries that libtorch_cpu.so is linked to (`readelf -d`).
SLIM = {"torch", "nvidia-cuda-runtime", "nvidia-cuda-cupti"}

HEADERS = ["nvidia-cuda-crt==13.0.*", "nvidia-cuda-cccl==13.0.*"]


def resolve(arch):
    platforms = ["manylinux_2_%d_%s" % (minor, arch) for minor in range(28, 4, -1)] + ["manylinux2014_" + arch]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    # For another platform pip requires a target folder, and does not touch it.
    command += ["--report", "-", "--target", os.path.join(HERE, "nowhere"), "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", "3.12"]
    command += [argument for platform in platforms for argument in ("--platform", platform)]
    report = json.loads(subprocess.check_output(command + ["torch==" + VERSION] + HEADERS))
    for package in report["install"]:
        name = package["metadata"]["name"].lower()
        if name == "torch" or name.startswith("nvidia-"):
            download = package["download_info"]
            head = urllib.request.Request(download["url"], method="HEAD")
            with urllib.request.urlopen(head) as answer:
                size = int(answer.headers["Content-Length"])
            wheel = download["url"].rsplit("/", 1)[1]
            sha256 = download["archive_info"]["hash"].split("=", 1)[1]
            yield Pin(name, package["metadata"]["version"], wheel, size, sha256)


def main():
    for arch in ARCHITECTURES:
        pins = sorted(resolve(arch), key=lambda pin: (pin.name != "torch", pin.name))
        for variant in ("cpu", "cuda"):
            chosen = [pin for pin in pins if variant == "cuda" or pin.name in SLIM]
            path = os.path.join(HERE, requirements_file(variant, arch))
            with open(path, "w") as file:
                file.write("# Written by pin.py. Above each requirement: its wheel and the size of it in bytes.\n")
                for pin in chosen:
                    file.write("# wheel: %s %d\n" % (pin.wheel, pin.size))
                    file.write("%s==%s --hash=sha256:%s\n" % (pin.name, pin.version, pin.sha256))
            total = sum(pin.size for pin in chosen)
            print("%s: %d wheels, %.2f GB" % (os.path.basename(path), len(chosen), total / 1e9))


if __name__ == "__main__":
    main()
