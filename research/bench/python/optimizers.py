"""The inner optimizers of PyTorch, and Lookahead around them as timm and pytorch_optimizer have it.

Each class of a Lookahead has:

    step(inner step, and the sync where it is due), sync(the sync alone),
    slow(): (parameter, φ of it) of all parameters, for a look at φ that changes nothing,
    at_slow(evaluate): the quickest way to evaluate at φ that the package has.
"""

import torch

LEARNING_RATE = 1e-5


def inner(config, parameters, form):
    """PyTorch's optimizer of a trainer's section [optimizer], `fused` or `foreach`."""
    how = {form: True, "lr": config["lr"], "weight_decay": config["weight_decay"]}
    kind = config["kind"]
    if kind == "sgd":
        for key in ("momentum", "dampening", "nesterov"):
            how[key] = config[key]
        return torch.optim.SGD(parameters, **how)
    optimizer = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind]
    betas = (config["beta1"], config["beta2"])
    return optimizer(parameters, betas=betas, eps=config["eps"], amsgrad=config["amsgrad"], **how)


def rule(kind, package, parameters, form):
    """An optimizer of one of the packages; without weight decay, and the rest as by default.
    `fused`, `foreach`, `loop` (a call per tensor and operation), or the only form that there is."""
    how = {"fused": {"fused": True}, "foreach": {"foreach": True}, "loop": {"foreach": False}}.get(form, {})
    how.update(lr=LEARNING_RATE, weight_decay=0.0)
    if package == "torch":
        names = {
            "adagrad": "Adagrad",
            "adam": "Adam",
            "muon": "Muon",
            "nadam": "NAdam",
            "radam": "RAdam",
            "rmsprop": "RMSprop",
        }
        return getattr(torch.optim, names[kind])(parameters, **how)
    if package == "pytorch_optimizer":
        import pytorch_optimizer as optim
    else:
        from timm import optim
    if kind == "cautious_adam":
        return optim.AdamWLegacy(parameters, caution=True, **how)
    if kind == "cautious_lion":
        return optim.Lion(parameters, caution=True, **how)
    return getattr(optim, {"adan": "Adan", "lion": "Lion"}[kind])(parameters, **how)


class Timm:
    """timm makes φ at the first sync, from the θ of that moment: the first sync would do nothing.
    Here φ is the first weights, as it should be. They are put in after the first step, since Adam
    takes a parameter that has a state for one that it has met."""

    def __init__(self, base, k, alpha):
        from timm.optim import Lookahead

        self.base = base
        self.optimizer = Lookahead(base, alpha=alpha, k=k)
        self.first = [(p, p.detach().clone()) for g in base.param_groups for p in g["params"]]
        self.step = self._first_step

    def _put_in(self):
        for parameter, weights in self.first:
            self.base.state[parameter]["lookahead_slow_buff"] = weights
        self.first = None
        self.step = self.optimizer.step

    def _first_step(self):
        if self.optimizer.param_groups[0]["lookahead_k"] == 1:
            raise ValueError("k is 1, and φ can be put in only after the first step")
        self.optimizer.step()
        self._put_in()

    def sync(self):
        if self.first is not None:
            self._put_in()
        self.optimizer.sync_lookahead()

    def slow(self):
        for group in self.base.param_groups:
            for parameter in group["params"]:
                yield parameter, self.base.state[parameter]["lookahead_slow_buff"]

    def at_slow(self, evaluate):
        # timm's own scripts do so: the sync is taken early, and θ is φ then.
        self.optimizer.sync_lookahead()
        return evaluate()


class PytorchOptimizer:
    def __init__(self, base, k, alpha):
        from pytorch_optimizer import Lookahead

        self.optimizer = Lookahead(base, k=k, alpha=alpha)
        self.step = self.optimizer.step

    def sync(self):
        for group in self.optimizer.param_groups:
            self.optimizer.update(group)

    def slow(self):
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                yield parameter, self.optimizer.state[parameter]["slow_params"]

    def at_slow(self, evaluate):
        self.optimizer.backup_and_load_cache()
        result = evaluate()
        self.optimizer.clear_and_load_backup()
        return result


class Torch:
    """Lookahead as its paper defines it, in plain PyTorch: for tests without either package."""

    def __init__(self, base, k, alpha):
        self.base, self.k, self.alpha, self.steps = base, k, alpha, 0
        self.pairs = [(p, p.detach().clone()) for g in base.param_groups for p in g["params"]]

    def step(self):
        self.base.step()
        self.steps += 1
        if self.steps % self.k == 0:
            self.sync()

    @torch.no_grad()
    def sync(self):
        for fast, slow in self.pairs:
            slow.lerp_(fast, self.alpha)
            fast.copy_(slow)

    def slow(self):
        return iter(self.pairs)

    def at_slow(self, evaluate):
        return kept(self, evaluate)


def kept(lookahead, evaluate):
    """Evaluates at φ, and leaves θ as it was."""
    with torch.no_grad():
        pairs = list(lookahead.slow())
        fast = [parameter.detach().clone() for parameter, _ in pairs]
        for parameter, slow in pairs:
            parameter.copy_(slow)
        result = evaluate()
        for (parameter, _), weights in zip(pairs, fast):
            parameter.copy_(weights)
    return result


LOOKAHEADS = {"timm": Timm, "pytorch_optimizer": PytorchOptimizer, "torch": Torch, "torch-compiled": Torch}
