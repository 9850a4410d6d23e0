"""The data sets' files as tensors, as this project's trainer reads and cuts them."""

import functools
import gzip
import os

import torch


class Samples:
    """Inputs and targets in memory. Images are held as floats, normalized, or as bytes."""

    def __init__(self, inputs, targets, normalize=None, channels_last=False):
        self.inputs, self.targets = inputs, targets
        self.normalize, self.channels_last = normalize, channels_last

    def __len__(self):
        return len(self.targets)

    def _finish(self, inputs):
        if self.normalize is not None:
            inputs = self.normalize(inputs)
        if self.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def gather(self, index):
        return self._finish(self.inputs.index_select(0, index)), self.targets.index_select(0, index)

    def slice(self, start, end):
        return self._finish(self.inputs[start:end]), self.targets[start:end]


def load(work, storage):
    """Training samples, test samples, and how many symbols a text has."""
    config = work["config"]
    kind, held_out = config["data"]["kind"], config["data"]["validation"]
    if kind == "text":
        return _text(work["data"], config["data"]["length"], held_out)
    read = {"fashion-mnist": _fashion_mnist, "cifar10": _cifar10}[kind]
    parts = read(work["data"])
    mean = torch.tensor(work["mean"]).reshape(-1, 1, 1)
    std = torch.tensor(work["std"]).reshape(-1, 1, 1)

    def normalize(images):
        return images.float().sub_(mean).div_(std)

    channels_last = config["train"].get("channels_last", False)
    (images, labels), test = parts
    parts = (images[: len(images) - held_out], labels[: len(labels) - held_out]), test
    if storage == "floats":
        samples = [Samples(normalize(i), l, None, channels_last) for i, l in parts]
    else:
        samples = [Samples(i, l, normalize, channels_last) for i, l in parts]
    return samples[0], samples[1], None


def _fashion_mnist(folder):
    def read(name, offset):
        with gzip.open(os.path.join(folder, name)) as file:
            return torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)[offset:]

    def part(name):
        images = read(f"{name}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
        return images, read(f"{name}-labels-idx1-ubyte.gz", 8).long()

    return part("train"), part("t10k")


def _cifar10(folder):
    def part(names):
        parts = []
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                parts.append(torch.frombuffer(bytearray(file.read()), dtype=torch.uint8))
        records = torch.cat(parts).reshape(-1, 3073)
        return records[:, 1:].reshape(-1, 3, 32, 32).contiguous(), records[:, 0].long()

    return part([f"data_batch_{i}.bin" for i in range(1, 6)]), part(["test_batch.bin"])


@functools.lru_cache(maxsize=1)
def _text(path, length, held_out):
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    alphabet = sorted(set(text))
    number = {character: i for i, character in enumerate(alphabet)}
    symbols = torch.tensor([number[character] for character in text])
    pieces = (len(symbols) - 1) // length
    inputs = symbols[: pieces * length].reshape(pieces, length)
    targets = symbols[1 : pieces * length + 1].reshape(pieces, length)
    before = pieces - max(pieces // 20, 1)
    train = before - held_out
    return (
        Samples(inputs[:train], targets[:train]),
        Samples(inputs[before:], targets[before:]),
        len(alphabet),
    )
