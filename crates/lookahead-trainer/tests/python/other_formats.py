"""Writes a model's weights in other formats than safetensors, for `interchange.rs`.

    python other_formats.py MODEL.safetensors FOLDER
"""

import gzip
import pathlib
import pickle
import sys
import zipfile

import numpy
import torch
from safetensors.torch import load_file

model, folder = map(pathlib.Path, sys.argv[1:])
weights = load_file(model)
arrays = {name: tensor.numpy() for name, tensor in weights.items()}

torch.save(weights, folder / "checkpoint.pt")
# As training loops save it: more than weights, tensors that share memory, wrapped for several GPUs.
wrapped = {"module." + name: tensor.T.contiguous().T for name, tensor in weights.items()}
torch.save({"epoch": 3, "state_dict": wrapped}, folder / "whole.ckpt")
torch.save(weights, folder / "legacy.pth", _use_new_zipfile_serialization=False)
numpy.savez(folder / "arrays.npz", **arrays)


class Holder(torch.nn.Module):
    """A module whose state dict has the weights' names."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


holder = Holder()
for name, tensor in weights.items():
    place = holder
    *path, last = name.split(".")
    for part in path:
        if not hasattr(place, part):
            place.add_module(part, Holder())
        place = getattr(place, part)
    place.register_buffer(last, tensor)
torch.jit.script(holder).save(folder / "script.pt")

(folder / "pickled.pkl").write_bytes(pickle.dumps(arrays))
numpy.save(folder / "one.npy", arrays["out.bias"])
with zipfile.ZipFile(folder / "other.zip", "w") as archive:
    archive.write(model, "model.safetensors")
(folder / "cut.pt").write_bytes((folder / "checkpoint.pt").read_bytes()[:1000])
(folder / "compressed.gz").write_bytes(gzip.compress(model.read_bytes()))
(folder / "cut.safetensors").write_bytes(model.read_bytes()[:-1])
