"""Reference trajectories of Lookahead around PyTorch's own optimizers.

    python3 reference.py > trajectories.json

Needs Python 3 and torch (the committed file was made with 2.13.0). This is an independent reference for
tests/it/trajectories.rs: it was written from the formulas below, not from the Rust code.

Sync, after every k inner steps:      phi <- phi + alpha (theta - phi);  theta <- phi
pullback, every moment tensor m:      m_slow <- m_slow + alpha (m - m_slow);  m <- m_slow
outer momentum, instead of plain:     v <- mu v + (phi - theta);  u = v, or (phi - theta) + mu v with nesterov;
                                      phi <- phi - alpha u;  theta <- phi
"""

import json
import math

import torch

# name, group, start, curvature s, target y
PARAMETERS = [
    ("a", 0, [1.0, -0.7, 0.4], 1.0, 0.2),
    ("b", 0, [[0.3, -1.1], [0.8, 0.05]], 0.5, -0.3),
    ("c", 1, [-0.6, 1.3], 2.0, 0.1),
    ("d", 1, [0.9], 1.5, -0.4),
]
PROBLEM = (
    "a [3], b [2,2] in group 0 (learning rate lr), c [2], d [1] in group 1 (lr/2). Loss at step t (from 1): the sum over "
    "active parameters and their flattened elements i (from 0) of 0.5 s (1 + 0.3 cos(t+i)) (x_i - y)^2, plus 0.05 (sum of "
    "all active elements)^2. (s, y): a (1.0, 0.2), b (0.5, -0.3), c (2.0, 0.1), d (1.5, -0.4). Without gradient: c where "
    "t % 4 == 0, d where t < 3."
)

ADAM = dict(lr=0.05, betas=(0.9, 0.99), eps=1e-8)
RMSPROP = dict(lr=0.02, alpha=0.95, eps=1e-8)
OPTIMIZERS = {
    "sgd_plain": (torch.optim.SGD, dict(lr=0.1)),
    "sgd": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, weight_decay=1e-3)),
    "nesterov": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, nesterov=True)),
    "dampened": (torch.optim.SGD, dict(lr=0.1, momentum=0.8, dampening=0.3)),
    "adam": (torch.optim.Adam, dict(ADAM, weight_decay=1e-3)),
    "amsgrad": (torch.optim.Adam, dict(ADAM, weight_decay=1e-3, amsgrad=True)),
    "adamw": (torch.optim.AdamW, dict(ADAM, weight_decay=0.02)),
    "rmsprop": (torch.optim.RMSprop, RMSPROP),
    "rmsprop_momentum": (torch.optim.RMSprop, dict(RMSPROP, momentum=0.8, weight_decay=1e-3)),
    "centered": (torch.optim.RMSprop, dict(RMSPROP, momentum=0.8, centered=True)),
    "radam": (torch.optim.RAdam, dict(ADAM, weight_decay=0.0)),
}
MOMENTS = ("momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "square_avg", "grad_avg")


def make_parameters(dtype=torch.float64):
    return [torch.tensor(start, dtype=dtype, requires_grad=True) for _, _, start, _, _ in PARAMETERS]


def make_optimizer(name, thetas):
    kind, options = OPTIMIZERS[name]
    groups = [{"params": thetas[:2]}, {"params": thetas[2:], "lr": options["lr"] / 2}]
    if kind is not torch.optim.RMSprop and kind is not torch.optim.RAdam:  # these two have no fused form to turn off
        options = dict(options, fused=False)
    return kind(groups, foreach=False, **options)


def loss(thetas, t):
    active = [not ((name == "c" and t % 4 == 0) or (name == "d" and t < 3)) for name, *_ in PARAMETERS]
    total = torch.zeros((), dtype=torch.float64)
    elements = torch.zeros((), dtype=torch.float64)
    for theta, (_, _, _, s, y), is_active in zip(thetas, PARAMETERS, active):
        if not is_active:  # left out of the graph, so that its gradient stays None
            continue
        x = theta.flatten()
        weight = torch.tensor([s * (1 + 0.3 * math.cos(t + i)) for i in range(len(x))], dtype=torch.float64)
        total = total + (0.5 * weight * (x - y) ** 2).sum()
        elements = elements + x.sum()
    return total + 0.05 * elements**2


class Lookahead:
    """`step` counts a step that `optimizer` has already taken, and syncs if one is due."""

    def __init__(self, optimizer, thetas, alphas, k, policy="maintain", outer=None):
        self.optimizer, self.thetas, self.alphas, self.k = optimizer, thetas, alphas, k
        self.policy, self.outer = policy, outer
        self.velocity = [torch.zeros_like(theta) for theta in thetas]
        self.slow_moments = {}
        self.restart()

    def restart(self):
        self.phase = 0
        self.slow = [theta.detach().clone() for theta in self.thetas]

    @torch.no_grad()
    def step(self):
        self.phase += 1
        if self.phase < self.k:
            return False
        self.phase = 0
        for i, (theta, alpha) in enumerate(zip(self.thetas, self.alphas)):
            if self.outer is None:
                self.slow[i] = self.slow[i] + alpha * (theta - self.slow[i])
            else:
                mu = self.outer["momentum"]
                difference = self.slow[i] - theta
                self.velocity[i] = mu * self.velocity[i] + difference
                update = difference + mu * self.velocity[i] if self.outer["nesterov"] else self.velocity[i]
                self.slow[i] = self.slow[i] - alpha * update
            theta.copy_(self.slow[i])
            if self.policy == "pullback":
                self.pull_back(i, alpha)
        if self.policy == "reset":
            self.optimizer.state.clear()
        return True

    def pull_back(self, i, alpha):
        for key, moment in self.optimizer.state.get(self.thetas[i], {}).items():
            if key in MOMENTS and moment is not None:
                slow = self.slow_moments.get((i, key), torch.zeros_like(moment))
                # A new tensor, and copied into the old one: were the two the same, every later inner step would change both.
                self.slow_moments[i, key] = slow + alpha * (moment - slow)
                moment.copy_(self.slow_moments[i, key])


def flat(tensors):
    return [x for tensor in tensors for x in tensor.detach().flatten().tolist()]


def run(name, optimizer_name, k, alphas, policy="maintain", outer=None, nested=None):
    thetas = make_parameters()
    optimizer = make_optimizer(optimizer_name, thetas)
    inner = Lookahead(optimizer, thetas, [alphas[group] for _, group, *_ in PARAMETERS], k, policy, outer)
    around = Lookahead(None, thetas, [nested["alpha"]] * len(thetas), nested["k"]) if nested else None
    steps = max(12, 4 * (nested["k"] if nested else k) + 2)
    trajectory = []
    for t in range(1, steps + 1):
        optimizer.zero_grad(set_to_none=True)
        loss(thetas, t).backward()
        optimizer.step()
        inner.step()
        if around and around.step():
            inner.restart()  # an outer sync begins a new inner cycle at the new weights
        trajectory.append(flat(thetas))

    moments, step_counts = {}, {}
    for theta, (parameter, *_) in zip(thetas, PARAMETERS):
        for key, value in optimizer.state.get(theta, {}).items():
            if key in MOMENTS and value is not None:
                moments[f"{key}/{parameter}"] = flat([value])
            elif key == "step":
                step_counts[parameter] = int(value)
    return {
        "name": name,
        "optimizer": optimizer_name,
        "k": k,
        "alpha": alphas,
        "policy": policy,
        "outer": outer,
        "nested": nested,
        "steps": steps,
        "theta": trajectory,
        "slow": flat(inner.slow),
        "moments": moments,
        "step_counts": step_counts,
        "nested_slow": flat(around.slow) if around else None,
        "velocity": flat(inner.velocity) if outer else None,
    }


def cases():
    for optimizer in OPTIMIZERS:
        for policy in ["maintain"] if optimizer == "sgd_plain" else ["maintain", "reset", "pullback"]:
            for k, alphas in [(1, [0.5, 0.5]), (3, [0.5, 0.8]), (5, [0.8, 0.8])]:
                if optimizer != "radam" or k == 3:
                    yield run(f"{optimizer}-{policy}-k{k}", optimizer, k, alphas, policy)
    for optimizer in ["sgd", "adam"]:
        for mu, nesterov, alpha in [(0.9, False, 0.7), (0.9, True, 0.7), (0.0, False, 0.5)]:
            name = f"{optimizer}-outer-mu{mu}" + ("-nesterov" if nesterov else "")
            yield run(name, optimizer, 3, [alpha, alpha], outer={"momentum": mu, "nesterov": nesterov})
        for k in [6, 4]:
            yield run(f"{optimizer}-k3-nested-in-k{k}", optimizer, 3, [0.5, 0.5], nested={"k": k, "alpha": 0.8})
        yield run(f"{optimizer}-maintain-k3-alpha1", optimizer, 3, [1.0, 1.0])


def check_by_hand():
    theta = torch.ones(1, dtype=torch.float64, requires_grad=True)
    sgd = torch.optim.SGD([theta], lr=0.1)
    lookahead = Lookahead(sgd, [theta], [0.5], 5)
    for expected in [0.9, 0.8, 0.7, 0.6, 0.75, 0.65, 0.55, 0.45, 0.35, 0.5]:
        theta.grad = torch.ones_like(theta)
        sgd.step()
        lookahead.step()
        assert abs(theta.item() - expected) < 1e-12, (theta.item(), expected)


def main():
    torch.set_num_threads(1)
    check_by_hand()
    records = list(cases())
    assert len({record["name"] for record in records}) == len(records)
    for record in records:
        assert all(math.isfinite(x) for row in record["theta"] for x in row), record["name"]
    lines = ",\n".join(json.dumps(record, separators=(",", ":"), allow_nan=False) for record in records)
    # Without the build tag, so that the wheels for CPU and CUDA write the same line.
    version = torch.__version__.split("+")[0]
    print(f'{{"torch":{json.dumps(version)},"problem":{json.dumps(PROBLEM)},"cases":[\n{lines}\n]}}')


if __name__ == "__main__":
    main()
