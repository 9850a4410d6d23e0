"""Continues from a checkpoint of this project in PyTorch, for `interchange.rs`.

    python go_on.py CHECKPOINT LATER_CHECKPOINT BATCHES.safetensors

Loads φ into an equivalent model and compares its accuracy on the test set with what is printed; loads θ
and the inner optimizer's moments, takes ten steps on the batches, and compares θ with the later
checkpoint's. Both checkpoints lie in one cycle, so that only the inner optimizer moves between them.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file

checkpoint, later, batches = map(pathlib.Path, sys.argv[1:])
batches = load_file(batches)
manifest = json.loads((checkpoint / "manifest.json").read_text())
config = manifest["config"]


class Mlp(torch.nn.Module):
    """The trainer's `mlp` with one hidden layer, under the same names."""

    def __init__(self, inputs, hidden, classes, batch_norm):
        super().__init__()
        self.fc1 = torch.nn.Linear(inputs, hidden)
        if batch_norm:
            self.fc_bn1 = torch.nn.BatchNorm1d(hidden)
        self.out = torch.nn.Linear(hidden, classes)

    def forward(self, images):
        hidden = self.fc1(images.flatten(1))
        if hasattr(self, "fc_bn1"):
            hidden = self.fc_bn1(hidden)
        return self.out(hidden.relu())


def model(state):
    net = Mlp(64, config["model"]["hidden"][0], 10, config["model"]["batch_norm"])
    # Strict: all names are PyTorch's own. (It tolerates a missing batch count.)
    net.load_state_dict(state)
    return net


def section(file, prefix):
    tensors = load_file(file)
    return {name[len(prefix):]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


# φ, for whoever uses the model.
net = model(load_file(later / "model.safetensors")).eval()
with torch.no_grad():
    logits = net(batches["images/test"])
right = (logits.argmax(1) == batches["labels/test"]).double().mean().item()
print(f"outputs agree: accuracy {right:.6f}")

# θ and the moments, to continue from.
net = model(section(checkpoint / "training.safetensors", "fast/")).train()
options = config["optimizer"]
kind, lr, decay = options["kind"], options["lr"], options["weight_decay"]
if kind == "sgd":
    opt = torch.optim.SGD(net.parameters(), lr, options["momentum"], options["dampening"], decay)
else:
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind]
    betas = (options["beta1"], options["beta2"])
    opt = make(net.parameters(), lr, betas, options["eps"], decay)
inner = section(checkpoint / "training.safetensors", f"optimizer/inner/{kind}/")
assert inner, "there is no inner state"
for name, parameter in net.named_parameters():
    state = opt.state[parameter]
    for key, tensor in inner.items():
        slot, of = key.split("/", 1)
        if of == name:
            state[slot] = tensor
    if kind != "sgd":
        state["step"] = torch.tensor(float(manifest["integers"][f"inner/{kind}/step/{name}"]))
for i in range(10):
    opt.zero_grad()
    torch.nn.functional.cross_entropy(net(batches[f"images/{i}"]), batches[f"labels/{i}"]).backward()
    opt.step()
moved = 0.0
start = section(checkpoint / "training.safetensors", "fast/")
for name, expected in section(later / "training.safetensors", "fast/").items():
    found = net.state_dict()[name]
    torch.testing.assert_close(found, expected, rtol=2e-4, atol=2e-6, msg=lambda text: f"{name}: {text}")
    moved = max(moved, (expected - start[name]).abs().max().item())
assert moved > 1e-3, "nothing moved, so nothing was compared"
print("ten steps agree")
