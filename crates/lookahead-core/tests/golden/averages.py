"""Reference trajectories of averages around PyTorch's own optimizers, over 200 steps.

    python3 averages.py > averages.json

Needs torch 2.13.0 (`just python` prints a Python that has it), and schedulefree 1.4.1 for the cases whose source is `schedulefree`. The other
cases were written from these formulas, not from the Rust code; the problem is that of reference.py:

primal averaging   y = mu_y x + (1 - mu_y) z; the inner optimizer steps at z with the gradient at y; x <- (1 - c) x + c z,
                   c = 1 - mu_x
EMA-Nesterov       y = theta + beta m; theta' = step from y; m <- gamma m + (1 - gamma)(theta' - theta)
A parameter without a gradient stays as it is in every respect.
"""

import json

import torch

from reference import flat, loss, make_optimizer, make_parameters

STEPS = 200
EVERY = 20


def run(name, inner, kind, settings, source, build, learning_rate=None):
    y, x = [], []
    step, result = build(torch.float64)
    for t in range(1, STEPS + 1):
        step(t)
        if t % EVERY == 0:
            model, mean = result()
            y.append(flat(model))
            x.append(flat(mean))
    step, result = build(torch.float32)
    for t in range(1, STEPS + 1):
        step(t)
    single = [float(f"{value:.9g}") for value in flat(result()[1])]
    case = dict(name=name, inner=inner, kind=kind, settings=settings, source=source, every=EVERY, y=y, x=x, single=single)
    return dict(case, warmup=learning_rate)


def primal(inner, mu_x, mu_y):
    def build(dtype):
        model, z, x = (make_parameters(dtype) for _ in range(3))
        optimizer = make_optimizer(inner, z)

        def step(t):
            for parameter in model:
                parameter.grad = None
            loss(model, t).backward()
            with torch.no_grad():
                for at_y, at_z in zip(model, z):
                    at_z.grad = None if at_y.grad is None else at_y.grad.clone()
                optimizer.step()
                for at_y, at_z, at_x in zip(model, z, x):
                    if at_y.grad is not None:
                        at_x.copy_(mu_x * at_x + (1 - mu_x) * at_z)
                        at_y.copy_(mu_y * at_x + (1 - mu_y) * at_z)

        return step, lambda: (model, x)

    settings = dict(mu_x=mu_x, mu_y=mu_y)
    return run(f"primal-{inner}-{mu_x}-{mu_y}", inner, "primal", settings, "formula", build)


def ema_nesterov(inner, beta, gamma, start_step, end_step):
    def build(dtype):
        model, theta = make_parameters(dtype), make_parameters(dtype)
        m = [torch.zeros_like(parameter) for parameter in model]
        optimizer = make_optimizer(inner, model)

        def step(t):
            optimizer.zero_grad(set_to_none=True)
            loss(model, t).backward()
            optimizer.step()
            ahead = beta if start_step <= t < end_step else 0.0
            with torch.no_grad():
                for i, parameter in enumerate(model):
                    if parameter.grad is not None:
                        m[i] = gamma * m[i] + (1 - gamma) * (parameter - theta[i])
                        theta[i].copy_(parameter)
                        parameter.copy_(theta[i] + ahead * m[i])

        return step, lambda: (model, theta)

    settings = dict(beta=beta, gamma=gamma, start_step=start_step, end_step=end_step)
    name = f"ema_nesterov-{inner}-{beta}-{gamma}"
    return run(name, inner, "ema_nesterov", settings, "formula", build)


def schedule_free(lr, beta, r, power, warmup):
    import schedulefree

    def build(dtype):
        model = make_parameters(dtype)
        groups = [{"params": model[:2]}, {"params": model[2:], "lr": lr / 2}]
        optimizer = schedulefree.SGDScheduleFree(
            groups, lr=lr, momentum=beta, r=r, weight_lr_power=power, warmup_steps=warmup, foreach=False
        )
        optimizer.train()

        def step(t):
            optimizer.zero_grad(set_to_none=True)
            loss(model, t).backward()
            optimizer.step()

        def result():
            # y = beta x + (1 - beta) z, without the package's own switch, which rounds
            state = [optimizer.state[parameter]["z"] for parameter in model]
            return model, [(y.detach() - (1 - beta) * z) / beta for y, z in zip(model, state)]

        return step, result

    settings = dict(lr=lr, beta=beta, r=r, weight_lr_power=power)
    name = f"schedule_free-{lr}-{beta}-{r}-{power}-{warmup}"
    return run(name, "sgd_plain", "schedule_free", settings, "schedulefree 1.4.1", build, warmup)


def cases():
    for inner in ("sgd_plain", "sgd", "nesterov", "adam", "amsgrad", "adamw", "rmsprop_momentum", "radam"):
        yield primal(inner, 0.9, 0.7)
        yield ema_nesterov(inner, 0.5, 0.9, 20, 150)
    yield primal("adamw", 0.0, 0.7)
    yield primal("adamw", 0.9967, 0.0)
    yield primal("sgd_plain", 0.9, 1.0)
    yield schedule_free(0.1, 0.9, 0.0, 2.0, 0)
    yield schedule_free(0.1, 0.9, 0.0, 2.0, 30)
    yield schedule_free(0.1, 0.95, 1.0, 2.0, 10)
    yield schedule_free(0.05, 0.5, 0.0, 0.0, 5)


if __name__ == "__main__":
    torch.set_num_threads(1)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases())
    print(f'{{"torch":"{torch.__version__.split("+")[0]}","cases":[\n{lines}\n]}}')
