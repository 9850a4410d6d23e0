"""Reference trajectories of inner optimizers alone, over 200 steps.

    python3 inner_optimizers.py > inner_optimizers.json

Needs Python 3, torch and timm (the committed file was made with 2.13.0 and 1.0.31). tests/it/inner_optimizers.rs compares with it. The
optimizers are PyTorch's, and timm's those that PyTorch lacks: Lion, Adan and the cautious forms.
"""

import contextlib
import json
import math
import sys

import torch
from torch.optim import _muon

# timm prints when it is imported.
with contextlib.redirect_stdout(sys.stderr):
    import timm.optim

STEPS = 200
KEPT = [1, 2, 10, 50, 51, 120, 200]
LATE = 50

# name, group, shape, phase of the starting values, curvature s, target y
PARAMETERS = [
    ("number", 0, [], 1.0, 1.0, 0.2),
    ("matrix", 0, [3, 2], 2.0, 0.5, -0.3),
    ("vector", 1, [5], 3.0, 2.0, 0.1),
    ("empty", 1, [0, 3], 0.0, 1.0, 0.0),
    ("kernel", 1, [2, 3, 2, 2], 4.0, 1.5, -0.4),
    ("late", 0, [2, 2], 5.0, 1.0, 0.3),
]
PROBLEM = (
    "Parameters of group 0 have the learning rate lr, those of group 1 lr/2. Element i (from 0) of a parameter starts at "
    "sin(1.3 i + phase). Loss at step t (from 1): the sum over active parameters and their flattened elements i of "
    "0.5 s (1 + 0.3 cos(t+i)) (x_i - y)^2, plus 0.05 (sum of all active elements)^2. Without gradient: `vector` where "
    f"t % 4 == 0, `number` where t < 3. `late` joins before step {LATE + 1}. (phase, s, y): "
    + ", ".join(f"{name} ({phase}, {s}, {y})" for name, _, _, phase, s, y in PARAMETERS)
    + "."
)


class Adan(timm.optim.Adan):
    """timm's counts the steps of a group, with or without gradients; here each parameter has a group of its own, whose
    count stands still without a gradient."""

    def __init__(self, groups, **options):
        alone = [dict(group, params=[theta]) for group in groups for theta in group["params"]]
        super().__init__(alone, **options)

    def step(self):
        still = [(group, group.get("step")) for group in self.param_groups if group["params"][0].grad is None]
        super().step()
        for group, count in still:
            group["step"] = count or 0


def full_precision(grad, coefficients, steps, eps):
    """PyTorch's iteration without its cast to bfloat16."""
    a, b, c = coefficients
    x = grad.T if grad.size(0) > grad.size(1) else grad
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if grad.size(0) > grad.size(1) else x


_muon._zeropower_via_newtonschulz = full_precision

ADAM = dict(lr=0.02, betas=(0.9, 0.99), eps=1e-8)
RMSPROP = dict(lr=0.01, alpha=0.95, eps=1e-8)
OPTIMIZERS = {
    "sgd_plain": (torch.optim.SGD, dict(lr=0.05, weight_decay=0.01)),
    "sgd": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.01)),
    "sgd_nesterov": (torch.optim.SGD, dict(lr=0.02, momentum=0.9, nesterov=True, weight_decay=0.01)),
    "sgd_dampened": (torch.optim.SGD, dict(lr=0.05, momentum=0.8, dampening=0.3, weight_decay=0.01)),
    "adam": (torch.optim.Adam, dict(ADAM, weight_decay=0.01)),
    "adam_amsgrad": (torch.optim.Adam, dict(ADAM, weight_decay=0.01, amsgrad=True)),
    "adamw": (torch.optim.AdamW, dict(ADAM, weight_decay=0.1)),
    "adamw_amsgrad": (torch.optim.AdamW, dict(ADAM, weight_decay=0.1, amsgrad=True)),
    "adamw_cautious": (timm.optim.AdamWLegacy, dict(ADAM, weight_decay=0.1, caution=True)),
    "rmsprop": (torch.optim.RMSprop, dict(RMSPROP, weight_decay=0.01)),
    "rmsprop_centered": (torch.optim.RMSprop, dict(RMSPROP, momentum=0.8, centered=True, weight_decay=0.01)),
    "nadam": (torch.optim.NAdam, dict(ADAM, momentum_decay=4e-3, weight_decay=0.01)),
    "nadam_decoupled": (torch.optim.NAdam, dict(ADAM, momentum_decay=4e-3, weight_decay=0.1, decoupled_weight_decay=True)),
    "radam": (torch.optim.RAdam, dict(ADAM, weight_decay=0.01)),
    "radam_decoupled": (torch.optim.RAdam, dict(ADAM, weight_decay=0.1, decoupled_weight_decay=True)),
    "adagrad": (torch.optim.Adagrad, dict(lr=0.1, lr_decay=0.01, weight_decay=0.01, initial_accumulator_value=0.1)),
    "adan": (Adan, dict(lr=0.02, betas=(0.98, 0.92, 0.99), eps=1e-8, weight_decay=0.1)),
    "adan_decoupled": (Adan, dict(lr=0.02, betas=(0.98, 0.92, 0.99), eps=1e-8, weight_decay=0.1, no_prox=True)),
    "lion": (timm.optim.Lion, dict(lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)),
    "lion_cautious": (timm.optim.Lion, dict(lr=0.01, betas=(0.9, 0.99), weight_decay=0.1, caution=True)),
    "muon": (torch.optim.Muon, dict(lr=0.003, weight_decay=0.1)),
    "muon_heavy_ball": (torch.optim.Muon, dict(lr=0.003, weight_decay=0.1, momentum=0.8, nesterov=False)),
    "muon_as_adamw": (torch.optim.Muon, dict(lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")),
}


def problem(kind):
    """The parameters of an optimizer: for Muon the matrices, flattened."""
    if kind is not torch.optim.Muon:
        return PARAMETERS
    matrices = [p for p in PARAMETERS if len(p[2]) >= 2 and p[0] != "empty"]
    return [(name, group, [shape[0], math.prod(shape[1:])], *rest) for name, group, shape, *rest in matrices]


def start(shape, phase, dtype):
    values = [math.sin(1.3 * i + phase) for i in range(math.prod(shape))]
    return torch.tensor(values, dtype=torch.float64).reshape(shape).to(dtype).requires_grad_()


def loss(parameters, thetas, t, dtype):
    total, elements = torch.zeros((), dtype=dtype), torch.zeros((), dtype=dtype)
    for (name, _, _, _, s, y), theta in zip(parameters, thetas):
        if (name == "vector" and t % 4 == 0) or (name == "number" and t < 3):
            continue  # left out of the graph, so that its gradient stays None
        x = theta.flatten()
        weight = torch.tensor([s * (1 + 0.3 * math.cos(t + i)) for i in range(len(x))], dtype=torch.float64)
        total = total + (0.5 * weight.to(dtype) * (x - y) ** 2).sum()
        elements = elements + x.sum()
    return total + 0.05 * elements**2


def run(name, dtype, kept):
    # PyTorch's scalars, for example NAdam's product of momenta, are of this type.
    torch.set_default_dtype(dtype)
    kind, options = OPTIMIZERS[name]
    parameters = problem(kind)
    thetas = [start(shape, phase, dtype) for _, _, shape, phase, _, _ in parameters]
    early = [(p, theta) for p, theta in zip(parameters, thetas) if p[0] != "late"]
    groups = [
        {"params": [theta for p, theta in early if p[1] == group], "lr": options["lr"] / (group + 1)} for group in (0, 1)
    ]
    if kind in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad):
        options = dict(options, fused=False)
    if kind is not torch.optim.Muon:
        options = dict(options, foreach=False)
    optimizer = kind(groups, **options)
    found = {}
    for t in range(1, STEPS + 1):
        if t == LATE + 1:
            optimizer.add_param_group({"params": [thetas[-1]], "lr": optimizer.param_groups[0]["lr"]})
        known = thetas if t > LATE else thetas[:-1]
        optimizer.zero_grad(set_to_none=True)
        loss(parameters[: len(known)], known, t, dtype).backward()
        optimizer.step()
        if t in kept:
            found[t] = [x for theta in thetas for x in theta.detach().flatten().tolist()]
            assert all(map(math.isfinite, found[t])), (name, t)
    return found


def main():
    torch.set_num_threads(1)
    lines = []
    for name, (kind, _) in OPTIMIZERS.items():
        double, single = run(name, torch.float64, KEPT), run(name, torch.float32, [STEPS])
        single = [float(f"{x:.9g}") for x in single[STEPS]]
        case = {"name": name, "matrices": kind is torch.optim.Muon, "theta": double, "single": single}
        lines.append(json.dumps(case, separators=(",", ":"), allow_nan=False))
    # Without the build tag, so that the wheels for CPU and CUDA write the same line.
    version = torch.__version__.split("+")[0]
    head = f'"torch":{json.dumps(version)},"timm":{json.dumps(timm.__version__)},"problem":{json.dumps(PROBLEM)}'
    print(f"{{{head},\"cases\":[\n" + ",\n".join(lines) + "\n]}")


if __name__ == "__main__":
    main()
