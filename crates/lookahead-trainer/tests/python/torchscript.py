"""TorchScript modules for `torchscript.rs`: made, trained and run by PyTorch.

    python torchscript.py make FOLDER
    python torchscript.py train NET.pt BATCHES.safetensors CHECKPOINT…
    python torchscript.py run [NET.pt EXPECTED.safetensors]…

`make` writes modules for images of 1×8×8 pixels in ten classes, and files that are none. For each checkpoint,
`train` takes as many steps as its run has taken, on the same batches, and compares all weights. `run` compares outputs.
"""

import json
import pathlib
import sys
import zipfile

import torch
from safetensors.torch import load_file
from torch.nn import BatchNorm2d, Conv2d, Linear, Module, Parameter
from torch.nn.functional import dropout, max_pool2d


class Net(Module):
    def __init__(self, classes=10, drop=0.0):
        super().__init__()
        # Without a bias: before a batch normalization its gradient is only rounding.
        self.conv = Conv2d(1, 8, 3, padding=1, bias=False)
        self.bn = BatchNorm2d(8)
        self.scale = Parameter(torch.full((8, 1, 1), 1.5), requires_grad=False)
        self.out = Linear(8 * 4 * 4, classes)
        self.drop = drop

    def forward(self, x):
        x = max_pool2d(self.bn(self.conv(x)).relu() * self.scale, 2)
        return self.out(dropout(x.flatten(1), self.drop, self.training))


class Tied(Module):
    def __init__(self):
        super().__init__()
        self.first = Linear(64, 64)
        self.second = Linear(64, 64)
        self.second.weight = self.first.weight
        self.out = Linear(64, 10)

    def forward(self, x):
        return self.out(self.second(self.first(x.flatten(1)).relu()).relu())


class Pair(Net):
    def forward(self, x):
        return x, x


class Flat(Module):
    def __init__(self):
        super().__init__()
        self.out = Linear(64, 10)

    def forward(self, x):
        return self.out(x)


def make(folder):
    torch.manual_seed(5)
    folder = pathlib.Path(folder)

    def script(name, net):
        torch.jit.script(net).save(folder / f"{name}.pt")

    script("net", Net())
    script("dropped", Net(drop=0.3))
    script("tied", Tied())
    script("narrow", Net(classes=7))
    script("pair", Pair())
    script("flat", Flat())
    script("frozen", Net().requires_grad_(False))
    torch.save(Net().state_dict(), folder / "state.pt")
    torch.jit.freeze(torch.jit.script(Net().eval())).save(folder / "constants.pt")
    torch.jit.trace(Net().train(), torch.ones(2, 1, 8, 8), check_trace=False).save(folder / "training.pt")
    with zipfile.ZipFile(folder / "net.pt") as old, zipfile.ZipFile(folder / "newer.pt", "w") as new:
        for name in old.namelist():
            new.writestr(name, b"99\n" if name.endswith("/version") else old.read(name))


def section(tensors, prefix):
    return {name[len(prefix):]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def train(file, batches, *checkpoints):
    batches = load_file(batches)
    for checkpoint in checkpoints:
        train_as(file, batches, pathlib.Path(checkpoint))
    print(f"{len(checkpoints)} trainings agree")


def train_as(file, batches, checkpoint):
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    optimizer, lookahead = manifest["config"]["optimizer"], manifest["config"]["lookahead"]
    net = torch.jit.load(file).train()
    fast = {name: p for name, p in net.named_parameters() if p.requires_grad}
    lr, decay = optimizer["lr"], optimizer["weight_decay"]
    if optimizer["kind"] == "sgd":
        inner = torch.optim.SGD(fast.values(), lr, optimizer["momentum"], weight_decay=decay)
    else:
        inner = torch.optim.AdamW(fast.values(), lr, weight_decay=decay)
    start = {name: p.detach().clone() for name, p in fast.items()}
    slow = {name: p.clone() for name, p in start.items()}
    for i in range(manifest["step"]):
        inner.zero_grad()
        torch.nn.functional.cross_entropy(net(batches[f"images/{i}"]), batches[f"labels/{i}"]).backward()
        inner.step()
        if (i + 1) % lookahead["k"] == 0:
            with torch.no_grad():
                for name, theta in fast.items():
                    slow[name] += lookahead["alpha"] * (theta - slow[name])
                    theta.copy_(slow[name])
    found = load_file(checkpoint / "training.safetensors")
    model = load_file(checkpoint / "model.safetensors")
    for ours, expected in [
        (section(found, "fast/"), net.state_dict()),
        (section(found, "optimizer/slow/"), slow),
        (model, net.state_dict() | slow),
    ]:
        assert ours.keys() == expected.keys(), (ours.keys(), expected.keys())
        for name in ours:
            theirs = expected[name].detach()
            torch.testing.assert_close(ours[name], theirs, rtol=0, atol=1e-5, msg=lambda text: f"{name}: {text}")
    assert min((slow[name] - start[name]).abs().max() for name in slow) > 1e-3, "not all weights moved"
    assert net.state_dict()["bn.num_batches_tracked"] == manifest["step"]


def run(*files):
    for file, expected in zip(files[::2], files[1::2]):
        compare(file, expected)
    print(f"{len(files) // 2} modules agree")


def compare(file, expected):
    extra = {"signature": ""}
    net = torch.jit.load(file, _extra_files=extra)
    assert json.loads(extra["signature"])["inputs"]["shape"], extra
    assert not net.training
    expected = load_file(expected)
    assert net.state_dict().keys() == section(expected, "weights/").keys()
    # PyTorch's graphs are optimized after the first calls.
    for _ in range(3):
        for name, inputs in section(expected, "inputs/").items():
            torch.testing.assert_close(net(inputs).detach(), expected[f"outputs/{name}"], rtol=1e-6, atol=1e-6)


{"make": make, "train": train, "run": run}[sys.argv[1]](*sys.argv[2:])
