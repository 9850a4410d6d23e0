"""Reference trajectories of inner optimizers alone, over 200 steps.

    python3 inner_optimizers.py > inner_optimizers.json

Needs Python 3 and torch (the committed file was made with 2.13.0). tests/it/inner_optimizers.rs compares with it. The optimizers are
PyTorch's own; those that it lacks are written below from their formulas.
"""

import json
import math

import torch
from torch.optim import _muon

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


class Rule(torch.optim.Optimizer):
    """An optimizer by the formula of one parameter's step."""

    slots = ()

    def __init__(self, groups, **options):
        super().__init__(groups, options)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for theta in group["params"]:
                if theta.grad is None:
                    continue
                state = self.state[theta]
                if not state:
                    state["t"] = 0
                    state.update((slot, torch.zeros_like(theta)) for slot in self.slots)
                state["t"] += 1
                self.move(theta, theta.grad, state, **group)


def masked(update, gradient):
    """Cautious optimizers (arXiv 2411.16085): only the elements that agree with the gradient, scaled up for the others."""
    mask = (update * gradient > 0).to(gradient.dtype)
    if mask.numel():
        mask = mask / mask.mean().clamp(min=1e-3)
    return update * mask


class Lion(Rule):
    """arXiv 2302.06675, Algorithm 2."""

    slots = ("m",)

    def move(self, theta, g, state, lr, betas, weight_decay, cautious=False, **_):
        m = state["m"]
        update = torch.sign(betas[0] * m + (1 - betas[0]) * g)
        theta.mul_(1 - lr * weight_decay)
        theta.sub_(lr * (masked(update, g) if cautious else update))
        m.copy_(betas[1] * m + (1 - betas[1]) * g)


class CautiousAdamW(Rule):
    """AdamW with the mask of arXiv 2411.16085."""

    slots = ("m", "v")

    def move(self, theta, g, state, lr, betas, eps, weight_decay, **_):
        m, v, t = state["m"], state["v"], state["t"]
        theta.mul_(1 - lr * weight_decay)
        m.copy_(betas[0] * m + (1 - betas[0]) * g)
        v.copy_(betas[1] * v + (1 - betas[1]) * g * g)
        mean, square = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        theta.sub_(lr * masked(mean, g) / (square.sqrt() + eps))


class Adan(Rule):
    """arXiv 2208.06677, Algorithm 1, with bias correction as the authors' code has it; the betas are decays."""

    slots = ("m", "v", "n", "last")

    def move(self, theta, g, state, lr, betas, eps, weight_decay, decoupled=False, **_):
        m, v, n, last, t = state["m"], state["v"], state["n"], state["last"], state["t"]
        difference = torch.zeros_like(g) if t == 1 else g - last
        beta1, beta2, beta3 = betas
        m.copy_(beta1 * m + (1 - beta1) * g)
        v.copy_(beta2 * v + (1 - beta2) * difference)
        n.copy_(beta3 * n + (1 - beta3) * (g + beta2 * difference) ** 2)
        last.copy_(g)
        denominator = (n / (1 - beta3**t)).sqrt() + eps
        update = (m / (1 - beta1**t) + beta2 * v / (1 - beta2**t)) / denominator
        if decoupled:
            theta.mul_(1 - lr * weight_decay)
            theta.sub_(lr * update)
        else:
            theta.sub_(lr * update)
            theta.div_(1 + lr * weight_decay)


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
    "adamw_cautious": (CautiousAdamW, dict(ADAM, weight_decay=0.1)),
    "rmsprop": (torch.optim.RMSprop, dict(RMSPROP, weight_decay=0.01)),
    "rmsprop_centered": (torch.optim.RMSprop, dict(RMSPROP, momentum=0.8, centered=True, weight_decay=0.01)),
    "nadam": (torch.optim.NAdam, dict(ADAM, momentum_decay=4e-3, weight_decay=0.01)),
    "nadam_decoupled": (torch.optim.NAdam, dict(ADAM, momentum_decay=4e-3, weight_decay=0.1, decoupled_weight_decay=True)),
    "radam": (torch.optim.RAdam, dict(ADAM, weight_decay=0.01)),
    "radam_decoupled": (torch.optim.RAdam, dict(ADAM, weight_decay=0.1, decoupled_weight_decay=True)),
    "adagrad": (torch.optim.Adagrad, dict(lr=0.1, lr_decay=0.01, weight_decay=0.01, initial_accumulator_value=0.1)),
    "adan": (Adan, dict(lr=0.02, betas=(0.98, 0.92, 0.99), eps=1e-8, weight_decay=0.1)),
    "adan_decoupled": (Adan, dict(lr=0.02, betas=(0.98, 0.92, 0.99), eps=1e-8, weight_decay=0.1, decoupled=True)),
    "lion": (Lion, dict(lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)),
    "lion_cautious": (Lion, dict(lr=0.01, betas=(0.9, 0.99), weight_decay=0.1, cautious=True)),
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
    if not issubclass(kind, Rule) and kind is not torch.optim.Muon:
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
    head = f'"torch":{json.dumps(version)},"problem":{json.dumps(PROBLEM)}'
    print(f"{{{head},\"cases\":[\n" + ",\n".join(lines) + "\n]}")


if __name__ == "__main__":
    main()
