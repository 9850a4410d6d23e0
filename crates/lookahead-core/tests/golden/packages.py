"""Reference trajectories of wrappers from other packages around PyTorch's optimizers, over 200 steps.

    python3 packages.py FOLDER > packages.json

Needs torch 2.13.0, timm 1.0.31, pytorch_optimizer 4.1.0, and FOLDER: a clone of https://github.com/facebookresearch/optimizers
(the committed file was made with f60660661194), whose folder `gpa` is in no package. tests/it/packages.rs compares with it.
The problem is that of reference.py, but every parameter has a gradient at each step: the packages count steps by parameter
group, and leave out of a sync what has no gradient then.

What is done to the packages, since they can't be compared without it:
* timm copies its slow weights at the first sync, which then does nothing. Here they are copied before the first step, into
  the place where timm looks for them; PyTorch's Adam needs that place empty until it has taken a step.
* Meta's GPAAdamW keeps its moments in float32, which fails for float64 parameters. Here they are made beforehand, in the
  type of the parameters. It shrinks y by another part of the weight decay than its own formula, unless mu_x is 0, so there
  is weight decay only in that case.
"""

import contextlib
import json
import sys

import torch

import reference
from reference import flat, make_optimizer, make_parameters

STEPS = 200
EVERY = 20


def loss(thetas, t):
    # Of the steps of reference.py those in which all have gradients.
    return reference.loss(thetas, 4 * t + 1)


def timms_lookahead(dtype, inner, k, alpha):
    import timm.optim

    thetas = make_parameters(dtype)
    base = make_optimizer(inner, thetas)
    optimizer = timm.optim.Lookahead(base, alpha=alpha, k=k)
    slow = [theta.detach().clone() for theta in thetas]
    assert k > 1

    def step(t):
        optimizer.step()
        if t == 1:
            for theta, copy in zip(thetas, slow):
                base.state[theta]["lookahead_slow_buff"] = copy

    return thetas, step, lambda: (thetas, [base.state[theta]["lookahead_slow_buff"] for theta in thetas])


def pytorch_optimizers_lookahead(dtype, inner, k, alpha, policy):
    import pytorch_optimizer

    thetas = make_parameters(dtype)
    name = {"maintain": "none"}.get(policy, policy)
    optimizer = pytorch_optimizer.Lookahead(make_optimizer(inner, thetas), k=k, alpha=alpha, pullback_momentum=name)
    return thetas, lambda _: optimizer.step(), lambda: (thetas, [optimizer.state[t]["slow_params"] for t in thetas])


def pytorch_optimizers_schedule_free(dtype, inner, beta, r, weight_lr_power):
    import pytorch_optimizer

    thetas = make_parameters(dtype)
    optimizer = pytorch_optimizer.ScheduleFreeWrapper(
        make_optimizer(inner, thetas), momentum=beta, r=r, weight_lr_power=weight_lr_power
    )
    optimizer.train()

    def result():
        # y = beta x + (1 - beta) z, without the package's own switch, which rounds
        z = [optimizer.state[theta]["z"] for theta in thetas]
        return thetas, [(y.detach() - (1 - beta) * z) / beta for y, z in zip(thetas, z)]

    return thetas, lambda _: optimizer.step(), result


def metas_gpa(dtype, _, mu_x, mu_y, schedule_free=False, weight_decay=0.0):
    from gpa.gpa_adamw import GPAAdamW
    from gpa.gpa_types import IterateAveragingType

    thetas = make_parameters(dtype)
    lr, (beta1, beta2), eps = (reference.ADAM[key] for key in ("lr", "betas", "eps"))
    kind = IterateAveragingType.SCHEDULE_FREE if schedule_free else IterateAveragingType.GPA
    optimizer = GPAAdamW(
        [{"params": thetas[:2]}, {"params": thetas[2:], "lr": lr / 2}],
        lr=lr, eps=eps, beta1=beta1, beta2=beta2, weight_decay=weight_decay,
        iterate_averaging_type=kind, train_interp_coeff=mu_y, eval_interp_coeff=mu_x,
    )  # fmt: skip
    for theta in thetas:
        optimizer.state[theta].update(exp_avg=torch.zeros_like(theta), exp_avg_sq=torch.zeros_like(theta))
    optimizer.train()
    for group in optimizer.param_groups:
        # Sums of weights, also float32.
        state = optimizer.state[group["params"][0]]
        state.update(weight_sum=state["weight_sum"].to(dtype), lr_max=state["lr_max"].to(dtype))

    def result():
        z = [optimizer.state[theta]["z"] for theta in thetas]
        return thetas, [(y.detach() - (1 - mu_y) * z) / mu_y for y, z in zip(thetas, z)]

    return thetas, lambda _: optimizer.step(), result


def run(build, dtype, inner, **settings):
    thetas, step, result = build(dtype, inner, **settings)
    model, results = [], []
    for t in range(1, STEPS + 1):
        for theta in thetas:
            theta.grad = None
        loss(thetas, t).backward()
        step(t)
        if t % EVERY == 0:
            weights, mean = result()
            model.append(flat(weights))
            results.append(flat(mean))
    return model, results


def cases():
    for inner in ("sgd", "adamw", "radam"):
        yield "timm", "lookahead", inner, timms_lookahead, dict(k=6, alpha=0.5)
        yield "pytorch_optimizer", "lookahead", inner, pytorch_optimizers_lookahead, dict(k=5, alpha=0.8, policy="maintain")
    for policy in ("reset", "pullback"):
        yield "pytorch_optimizer", "lookahead", "sgd", pytorch_optimizers_lookahead, dict(k=5, alpha=0.5, policy=policy)
    for inner, beta in (("sgd_plain", 0.9), ("adamw", 0.9), ("adam", 0.95), ("rmsprop", 0.8)):
        settings = dict(beta=beta, r=0.0, weight_lr_power=2.0)
        yield "pytorch_optimizer", "schedule_free", inner, pytorch_optimizers_schedule_free, settings
    yield "gpa", "primal", "adamw_without_decay", metas_gpa, dict(mu_x=0.9, mu_y=0.7)
    yield "gpa", "primal", "adamw_without_decay", metas_gpa, dict(mu_x=0.9967, mu_y=0.7)
    yield "gpa", "primal", "adamw", metas_gpa, dict(mu_x=0.0, mu_y=0.7, weight_decay=0.02)
    yield "gpa", "schedule_free", "adamw_without_decay", metas_gpa, dict(mu_x=0.0, mu_y=0.9, schedule_free=True)


def main():
    torch.set_num_threads(1)
    sys.path.insert(0, sys.argv[1])
    lines = []
    # timm prints when it is imported.
    with contextlib.redirect_stdout(sys.stderr):
        for package, kind, inner, build, settings in cases():
            model, result = run(build, torch.float64, inner, **settings)
            _, single = run(build, torch.float32, inner, **settings)
            single = [float(f"{x:.9g}") for x in single[-1]]
            if package == "gpa" and kind == "schedule_free":
                settings = dict(beta=settings["mu_y"], r=0.0, weight_lr_power=2.0)
            settings = {key: value for key, value in settings.items() if key not in ("schedule_free", "weight_decay")}
            case = dict(package=package, kind=kind, inner=inner, settings=settings, every=EVERY)
            case.update(model=model, result=result, single=single)
            lines.append(json.dumps(case, separators=(",", ":"), allow_nan=False))
    print('{"cases":[\n' + ",\n".join(lines) + "\n]}")


if __name__ == "__main__":
    main()
