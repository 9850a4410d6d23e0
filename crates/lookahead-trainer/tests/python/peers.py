"""Trainings with timm's and pytorch_optimizer's Lookahead, for `pytorch.rs`.

    python peers.py begin|continue|refuse FOLDER

FOLDER/cases.json has the cases, each with a folder of its own in FOLDER, and FOLDER/batches.safetensors the batches.
`begin` trains on a case's batches `before`, saves weights.safetensors and state.safetensors there as the documentation
says, and continues on the batches `after`. `continue` only continues, from the files or the checkpoint in the case's
`from`. Both then write θ and φ to theirs.safetensors. `refuse` prints the errors of wrong arguments; FOLDER has the
files weights.safetensors and state.safetensors.
"""

import json
import pathlib
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[4] / "docs"))
from lookahead_state import from_lookahead, to_lookahead

what, folder = sys.argv[1], pathlib.Path(sys.argv[2])
batches = {} if what == "refuse" else load_file(folder / "batches.safetensors")
torch.set_num_threads(1)


class Mlp(torch.nn.Module):
    """The trainer's `mlp` with one hidden layer, under the same names."""

    def __init__(self):
        super().__init__()
        self.fc1 = torch.nn.Linear(64, 16)
        self.out = torch.nn.Linear(16, 10)

    def forward(self, images):
        return self.out(self.fc1(images.flatten(1)).relu())


def lookahead(case, model):
    inner = eval(case["python"])(model.parameters())
    if case["peer"] == "timm":
        from timm.optim import Lookahead

        return Lookahead(inner, alpha=case["alpha"], k=case["k"])
    from pytorch_optimizer import Lookahead

    return Lookahead(inner, k=case["k"], alpha=case["alpha"], pullback_momentum=case["momentum"])


def train(model, optimizer, indices):
    for i in indices:
        optimizer.zero_grad()
        images = batches[f"images/{i}"].to(model.out.weight.dtype)
        torch.nn.functional.cross_entropy(model(images), batches[f"labels/{i}"]).backward()
        optimizer.step()


def changed(state, integers, numbers):
    """The file of a state with other entries."""
    with safe_open(state, "pt") as file:
        entry = json.loads(file.metadata()["lookahead_state"])
    entry["integers"] |= integers
    entry["numbers"] |= numbers
    other = state.with_name("changed.safetensors")
    save_file(load_file(state), other, {"lookahead_state": json.dumps(entry)})
    return other


def refused(work):
    try:
        work()
    except (ValueError, TypeError) as error:
        return str(error)
    sys.exit("It was not refused.")


if what == "refuse":
    sgd = "lambda p: torch.optim.SGD(p, 0.1, 0.9)"
    model, case = Mlp(), {"python": sgd, "peer": "pytorch_optimizer", "k": 5, "alpha": 0.5, "momentum": "none"}
    optimizer, inner = lookahead(case, model), eval(sgd)(model.parameters())
    two = [{"params": model.fc1.parameters()}, {"params": model.out.parameters()}]
    groups = lookahead(case | {"python": "lambda p: torch.optim.SGD(two, 0.1, 0.9)"}, model)
    pulled = lookahead(case | {"momentum": "pullback"}, model)
    small = torch.nn.Sequential(torch.nn.Linear(2, 2))
    other = lookahead(case, small)
    weights, state = folder / "weights.safetensors", folder / "state.safetensors"
    schedule = {"alpha_schedule/kind": 1, "alpha_schedule/steps": 20}, {"alpha_schedule/value": "1.0"}
    of_group = {"inner/sgd/learning_rate/1": "0.1", "inner/sgd/weight_decay/1": "0.0", "inner/sgd/momentum/1": "0.9"}
    adam = lookahead(case | {"python": "lambda p: torch.optim.AdamW(p, 0.1)"}, model)
    for work in (
        lambda: to_lookahead(model, inner, weights, state),
        lambda: to_lookahead(model.parameters(), optimizer, weights, state),
        lambda: to_lookahead(small, optimizer, weights, state),
        lambda: from_lookahead(model, optimizer, state),
        lambda: from_lookahead(model, optimizer, weights, state),
        lambda: from_lookahead(small, other, state, weights),
        lambda: from_lookahead(model, groups, state, weights),
        lambda: from_lookahead(model, pulled, state, weights),
        lambda: from_lookahead(model, optimizer, changed(state, *schedule), weights),
        lambda: from_lookahead(model, optimizer, changed(state, {"k_schedule/kind": 1}, {}), weights),
        lambda: from_lookahead(model, groups, changed(state, {}, of_group | {"alpha/1": "0.8"}), weights),
        lambda: from_lookahead(model, optimizer, changed(state, {}, of_group), weights),
        lambda: from_lookahead(model, adam, state, weights),
    ):
        print(refused(work).replace(str(folder), "FOLDER"))
    sys.exit()


for case in json.loads((folder / "cases.json").read_text()):
    torch.manual_seed(1)
    own = folder / case["name"]
    model = Mlp().to(getattr(torch, case["precision"]))
    if what == "begin":
        optimizer = lookahead(case, model)
        files = own / "weights.safetensors", own / "state.safetensors"
        train(model, optimizer, case["before"][:2])
        if case["peer"] == "timm":
            assert "before its first sync" in refused(lambda: to_lookahead(model, optimizer, *files))
        train(model, optimizer, case["before"][2:])
        to_lookahead(model, optimizer, *files)
    else:
        # Their k and α are replaced.
        optimizer = lookahead(case | {"k": 7, "alpha": 0.1}, model)
        from_lookahead(model, optimizer, *(own / name for name in case["from"]))
    train(model, optimizer, case["after"])
    theirs = {f"fast/{name}": parameter for name, parameter in model.named_parameters()}
    for name, parameter in model.named_parameters():
        timm = case["peer"] == "timm"
        kept = optimizer._base_optimizer.state[parameter] if timm else optimizer.state[parameter]
        theirs[f"slow/{name}"] = kept["lookahead_slow_buff" if timm else "slow_params"]
    save_file({name: tensor.detach().clone() for name, tensor in theirs.items()}, own / "theirs.safetensors")
