"""Moves a training with Lookahead between PyTorch and the Rust library and program `lookahead`: see pytorch.md.

    to_lookahead(model, optimizer, weights_file, state_file)
    from_lookahead(model, optimizer, checkpoint_folder)
    from_lookahead(model, optimizer, state_file, weights_file)

`optimizer` is the Lookahead of timm or of pytorch_optimizer. Needs torch and safetensors.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

ADAM = ("exp_avg", "exp_avg_sq")
# The tensors that each kind of inner optimizer keeps for a parameter, if it keeps them with its options.
SLOTS = {
    "sgd": ("momentum_buffer",),
    "adam": (*ADAM, "max_exp_avg_sq"),
    "adamw": (*ADAM, "max_exp_avg_sq"),
    "rmsprop": ("square_avg", "momentum_buffer", "grad_avg"),
    "nadam": ADAM,
    "radam": ADAM,
    "adagrad": ("sum",),
    "lion": ("exp_avg",),
    "adan": (*ADAM, "exp_avg_diff", "neg_pre_grad"),
}
# Kinds whose momentum, or first beta, is in the state.
WITH_MOMENTUM = ("sgd", "adam", "adamw", "rmsprop")


def parts(model, optimizer):
    """Whether it is timm's Lookahead, the inner optimizer, its kind, and (group, name, parameter) of all parameters."""
    is_timm = hasattr(optimizer, "_base_optimizer")
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"`model` is a {type(model).__name__}. Give the torch.nn.Module that is trained.")
    if not is_timm and not hasattr(optimizer, "pullback_momentum"):
        raise TypeError(f"`optimizer` is a {type(optimizer).__name__}. Give timm's or pytorch_optimizer's Lookahead.")
    inner = optimizer._base_optimizer if is_timm else optimizer.optimizer
    kind, module = type(inner).__name__.lower(), type(inner).__module__
    if kind == "adam" and inner.param_groups[0].get("decoupled_weight_decay"):
        kind = "adamw"
    # pytorch_optimizer's own classes of these names keep other tensors, except for Lion.
    if kind not in SLOTS or (module.startswith("pytorch_optimizer") and kind != "lion"):
        raise ValueError(f"The inner optimizer is {module}.{type(inner).__name__}, which lookahead_state.py lacks.")
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = inner.param_groups
    if any(p not in names for group in groups for p in group["params"]):
        raise ValueError("The optimizer has parameters that `model` lacks. Give the model that it was built for.")
    return is_timm, inner, kind, [(group, names[p], p) for group in groups for p in group["params"]]


@torch.no_grad()
def to_lookahead(model, optimizer, weights, state):
    """Writes θ and buffers to the file `weights`, and φ, phase, moments and settings to the file `state`."""
    is_timm, inner, kind, parameters = parts(model, optimizer)
    first = inner.param_groups[0]
    if is_timm:
        k, alpha = first["lookahead_k"], first["lookahead_alpha"]
        if any(group["lookahead_k"] != k for group in inner.param_groups):
            raise ValueError("The parameter groups have different `lookahead_k`. Use one k for all of them.")
        phase = first["lookahead_step"] % k
        if not any("lookahead_slow_buff" in kept for kept in inner.state.values()):
            raise ValueError(f"timm has no slow weights before its first sync. Save after step {k}.")
    else:
        k, alpha, phase = optimizer.k, optimizer.alpha, first["counter"]
    tensors, integers, numbers = {}, {}, {"alpha": alpha}
    for group, name, parameter in parameters:
        kept = inner.state.get(parameter, {})
        slow = kept.get("lookahead_slow_buff", parameter) if is_timm else optimizer.state[parameter]["slow_params"]
        tensors[f"slow/{name}"] = slow.float() if slow.dtype in (torch.half, torch.bfloat16) else slow
        if kind == "sgd" and not is_timm and optimizer.pullback_momentum == "pullback":
            tensors[f"slow_moment/momentum_buffer/{name}"] = optimizer.state[parameter]["slow_momentum"]
        # PyTorch counts in each parameter's state, pytorch_optimizer and timm's Adan in the group; timm's Lion doesn't.
        step = int(kept.get("step", group.get("step", group.get("lookahead_step", 1))))
        slots = {slot: kept[slot] for slot in SLOTS[kind] if kept.get(slot) is not None}
        if not slots or (step == 0 and kind != "sgd"):
            continue  # It has had no gradient yet.
        if kind != "sgd":
            integers[f"inner/{kind}/step/{name}"] = step
        for slot, tensor in slots.items():
            slot, tensor = ("previous_gradient", -tensor) if slot == "neg_pre_grad" else (slot, tensor)
            tensors[f"inner/{kind}/{slot}/{name}"] = tensor
    for number, group in enumerate([*inner.param_groups, inner.param_groups[-1]]):
        at = number if number < len(inner.param_groups) else "later"
        numbers[f"inner/{kind}/learning_rate/{at}"] = group["lr"]
        numbers[f"inner/{kind}/weight_decay/{at}"] = group["weight_decay"]
        if at != "later" and group.get("lookahead_alpha", alpha) != alpha:
            numbers[f"alpha/{at}"] = group["lookahead_alpha"]
        if kind in WITH_MOMENTUM:
            numbers[f"inner/{kind}/momentum/{at}"] = group["betas"][0] if "betas" in group else group["momentum"]
    steps = max([first["lookahead_step"] if is_timm else phase, *integers.values()])
    integers[f"inner/{kind}/tensors"] = sum(key.startswith("inner/") for key in tensors)
    integers |= {"k": k, "k_schedule/from": k, "phase": phase, "steps": steps, "syncs": (steps - phase) // k, "non_finite": 0}
    numbers = {key: repr(float(value)) for key, value in numbers.items()}
    entry = json.dumps({"version": 1, "integers": integers, "numbers": numbers, "complex": []})
    fast = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    for file, contents, metadata in ((weights, fast, None), (state, tensors, {"lookahead_state": entry})):
        save_file({name: tensor.detach().clone().contiguous() for name, tensor in contents.items()}, file, metadata)


def read(state, weights):
    """θ and buffers; tensors, integers and numbers of the optimizer's state."""
    if weights is None:
        if not Path(state, "manifest.json").is_file():
            raise ValueError(f"{state} is not a checkpoint's folder. A state's file needs that of the weights after it.")
        manifest = json.loads(Path(state, "manifest.json").read_text())
        tensors, fast = {}, {}
        for name, tensor in load_file(Path(state, "training.safetensors")).items():
            section, name = name.split("/", 1)
            {"fast": fast, "optimizer": tensors}.get(section, {})[name] = tensor
        return fast, tensors, manifest["integers"], manifest["numbers"]
    with safe_open(state, "pt") as file:
        entry = (file.metadata() or {}).get("lookahead_state")
    if entry is None:
        raise ValueError(f"{state} is not an optimizer's state. It comes before the file of the weights.")
    entry = json.loads(entry)
    numbers = {key: float(value) for key, value in entry["numbers"].items()}
    return load_file(weights), load_file(state), entry["integers"], numbers


def with_groups_in_one(kind, entries):
    """Entries of an optimizer with `[[optimizer.group]]` under the keys that they have without."""
    own, one = f"inner/rest/{kind}/", f"inner/{kind}/"
    return {one + key.removeprefix(own) if key.startswith(own) else key: value for key, value in entries.items()}


@torch.no_grad()
def from_lookahead(model, optimizer, state, weights=None):
    """Loads a checkpoint's folder `state`, or the files of a state and of θ, into a model and its new optimizer."""
    is_timm, inner, kind, parameters = parts(model, optimizer)
    fast, *rest = read(state, weights)
    tensors, integers, numbers = (with_groups_in_one(kind, entries) for entries in rest)
    found = {key.split("/learning_rate/")[0] for key in numbers if "/learning_rate/" in key}
    if "phase" not in integers or found != {f"inner/{kind}"}:
        found = ", ".join(sorted(name.removeprefix("inner/") for name in found))
        raise ValueError(f"{state} has no state of Lookahead around {kind} alone: its optimizer is {found}.")
    scheduled = {key.removesuffix("/kind") for key in integers if key in ("alpha_schedule/kind", "k_schedule/kind")}
    if not is_timm and any(key.startswith("alpha/") for key in numbers):
        scheduled.add("an α for each parameter group")
    if scheduled:
        raise ValueError(f"{state} has {', '.join(sorted(scheduled))}, which this Lookahead of PyTorch lacks.")
    pulls = kind == "sgd" and not is_timm and optimizer.pullback_momentum == "pullback"
    heads = {"slow": "slow/", "slow_moment": "slow_moment/momentum_buffer/"} if pulls else {"slow": "slow/"}
    unknown = {key.split("/")[0] for key in tensors} - {"inner", *heads}
    if unknown:
        raise ValueError(f"{state} has {', '.join(sorted(unknown))}, which this Lookahead of PyTorch lacks.")
    lacking = [head + name for head in heads.values() for _, name, _ in parameters if head + name not in tensors]
    if lacking:
        raise ValueError(f"{state} lacks {', '.join(lacking)}, which this Lookahead of PyTorch has.")
    groups = inner.param_groups
    there = sum(key.startswith(f"inner/{kind}/learning_rate/") and not key.endswith("/later") for key in numbers)
    if there != len(groups):
        counts = f"{len(groups)} in the optimizer, {there} in {state}"
        raise ValueError(f"The numbers of parameter groups differ: {counts}. Build the optimizer with {there}.")
    k, phase = integers["k"], integers["phase"]
    alphas = [numbers.get(f"alpha/{number}", numbers["alpha"]) for number in range(there)]
    missing, unexpected = model.load_state_dict(fast, strict=False)
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise ValueError(f"The model lacks {unexpected}, and {state} lacks {missing}.")
    for group, name, parameter in parameters:
        slow = tensors[f"slow/{name}"].to(parameter)
        if phase == k:  # It was saved between a cycle's last step and its sync.
            number = next(number for number, own in enumerate(groups) if own is group)
            parameter.copy_(slow.lerp_(parameter, alphas[number]))
        kept = inner.state[parameter]
        for slot in SLOTS[kind]:
            sign, own = (-1, "previous_gradient") if slot == "neg_pre_grad" else (1, slot)
            if f"inner/{kind}/{own}/{name}" in tensors:
                kept[slot] = sign * tensors[f"inner/{kind}/{own}/{name}"].to(parameter)
        step = integers.get(f"inner/{kind}/step/{name}")
        if step is not None and kind in ("lion", "adan"):
            group["step"] = step
        elif step is not None:
            kept["step"] = torch.tensor(float(step))
        if step is not None and kind == "nadam":
            mu = [group["betas"][0] * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in range(1, step + 1)]
            kept["mu_product"] = torch.tensor(mu).prod()
        if is_timm and (kept or kind == "sgd"):
            kept["lookahead_slow_buff"] = slow
        elif not is_timm:
            optimizer.state[parameter]["slow_params"] = slow
            if pulls:
                slow = tensors[f"slow_moment/momentum_buffer/{name}"].to(parameter)
                optimizer.state[parameter]["slow_momentum"] = slow
    for number, group in enumerate(groups):
        group["lr"] = numbers[f"inner/{kind}/learning_rate/{number}"]
        group["weight_decay"] = numbers[f"inner/{kind}/weight_decay/{number}"]
        if kind in WITH_MOMENTUM:
            momentum = numbers[f"inner/{kind}/momentum/{number}"]
            group |= {"betas": (momentum, *group["betas"][1:])} if "betas" in group else {"momentum": momentum}
        if is_timm:
            group |= {"lookahead_k": k, "lookahead_alpha": alphas[number], "lookahead_step": integers["syncs"] * k + phase}
        else:
            group["counter"] = phase % k
    if not is_timm:
        optimizer.k, optimizer.alpha = k, alphas[0]
