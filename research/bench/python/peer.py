"""A contender in PyTorch: does what lines of JSON on standard input say, and answers in lines of JSON.

The contender's name comes with `prepare`: timm, pytorch_optimizer, or torch. See protocol.rs.
"""

import contextlib
import json
import math
import platform
import sys
import time

import torch
from torch.nn import functional as F

import compiled
import data
import models
import optimizers


class Training:
    def __init__(self, job):
        work, config = job["work"], job["work"]["config"]
        self.samples, self.test, symbols = data.load(work, job["storage"])
        torch.manual_seed(config["train"]["seed"])
        shape = self.samples.inputs.shape[1:]
        self.model = models.build(config, shape, symbols)
        if job["initial"] is not None:
            self.load(job["initial"])
        if config["train"].get("channels_last", False):
            self.model = self.model.to(memory_format=torch.channels_last)
        self.autocast = contextlib.nullcontext
        if config["train"].get("autocast") == "bf16":
            self.autocast = lambda: torch.autocast("cpu", dtype=torch.bfloat16)
        base = optimizers.inner(config["optimizer"], list(self.model.parameters()), job["form"])
        self.zero_grad = base.zero_grad
        lookahead = config["lookahead"]
        around = optimizers.LOOKAHEADS[job["contender"]]
        self.lookahead = around(base, lookahead["k"], lookahead["alpha"])
        self.batch_size = config["data"]["batch_size"]
        self.model.train()
        self.compiled_in = None
        if job["contender"] == "torch-compiled":
            self.compiled_in = compiled.compile_step(self, job["form"])
        self.batches = iter(())
        if job["order"] is not None:
            from safetensors.torch import load_file

            self.batches = iter(load_file(job["order"])["order"].split(self.batch_size))
        # With bytes it is the memory that counts, and a small batch.
        self.at_once = 256 if job["storage"] == "bytes" else None

    def load(self, path):
        from safetensors.torch import load_file

        found = self.model.load_state_dict(load_file(path), strict=False)
        missing = [name for name in found.missing_keys if "num_batches_tracked" not in name]
        if missing or found.unexpected_keys:
            raise ValueError(f"weights missing: {missing}; left over: {found.unexpected_keys}")

    def loss(self, inputs, targets):
        with self.autocast():
            logits = self.model(inputs)
            if targets.dim() > 1:
                logits, targets = logits.flatten(0, -2), targets.flatten()
            return F.cross_entropy(logits, targets)

    def step(self):
        index = next(self.batches, None)
        if index is None:
            self.batches = iter(torch.randperm(len(self.samples)).split(self.batch_size))
            index = next(self.batches)
        loss = self.loss(*self.samples.gather(index))
        value = loss.item()
        self.zero_grad()
        loss.backward()
        self.lookahead.step()
        return value

    def mean_loss(self, at_once):
        """Loss and number of right answers, as the trainer's evaluation has both."""
        total, right, count = 0.0, 0, 0
        with torch.inference_mode():
            for start in range(0, len(self.test), at_once):
                inputs, targets = self.test.slice(start, start + at_once)
                with self.autocast():
                    logits = self.model(inputs)
                    if targets.dim() > 1:
                        logits, targets = logits.flatten(0, -2), targets.flatten()
                    loss = F.cross_entropy(logits, targets)
                total += loss.item() * len(targets)
                right += (logits.argmax(-1) == targets).sum().item()
                count += len(targets)
        return total / count

    def best_size(self):
        """Of several numbers of samples in a forward pass the quickest."""

        def seconds(at_once):
            started = time.perf_counter()
            self.mean_loss(at_once)
            return time.perf_counter() - started

        seconds(1000)
        return min((64, 250, 1000, 2500), key=seconds)

    def evaluate(self, keep):
        self.model.eval()
        if self.at_once is None and not keep:
            self.at_once = self.best_size()
        started = time.perf_counter()
        if keep:
            loss = optimizers.kept(self.lookahead, lambda: self.mean_loss(256))
        else:
            loss = self.lookahead.at_slow(lambda: self.mean_loss(self.at_once))
        seconds = time.perf_counter() - started
        self.model.train()
        return {"is": "evaluated", "loss": loss, "seconds": seconds}

    def losses(self, steps):
        return [self.step() for _ in range(steps)]


class Optimizer:
    """The optimizer alone: inner steps, or syncs."""

    ADAMW = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": False, "weight_decay": 0.01}
    SGD = {"momentum": 0.9, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0}

    def __init__(self, job):
        work = job["work"]
        count, tensors = work["parameters"], work["tensors"]
        kind = work["inner"]
        self.weights = [weight.requires_grad_() for weight in self.start(kind, count, tensors)]
        for weight in self.weights:
            weight.grad = weight.detach().clone()
        if kind in ("sgd", "adamw"):
            config = {"kind": kind, "lr": optimizers.LEARNING_RATE}
            config.update(self.SGD if kind == "sgd" else self.ADAMW)
            base = optimizers.inner(config, self.weights, job["form"])
        else:
            base = optimizers.rule(kind, job["contender"], self.weights, job["form"])
        self.halve = work["sync"]
        if work["sync"]:
            self.step = optimizers.LOOKAHEADS[job["contender"]](base, 5, 0.5).sync
        else:
            self.step = base.step

    @staticmethod
    def start(kind, count, tensors):
        """Weights from −1 to 1 in each tensor, or matrices of full rank."""
        if kind == "muon":
            side = math.isqrt(count // tensors)
            values = torch.arange(side * side, dtype=torch.double).square().cos().float()
            return [values.reshape(side, side).clone() for _ in range(tensors)]
        sizes = [count * (i + 1) // tensors - count * i // tensors for i in range(tensors)]
        return [torch.linspace(-1, 1, size) for size in sizes]

    def losses(self, steps):
        losses = []
        for _ in range(steps):
            if self.halve:
                with torch.no_grad():
                    torch._foreach_mul_(self.weights, 0.5)
            self.step()
            squares = sum(w.detach().square().sum(dtype=torch.double).item() for w in self.weights)
            losses.append(squares / sum(w.numel() for w in self.weights))
        return losses


def timed(contender, seconds, cycle):
    steps, step = 0, contender.step
    started = time.perf_counter()
    while True:
        for _ in range(cycle):
            step()
        steps += cycle
        elapsed = time.perf_counter() - started
        if elapsed >= seconds:
            return {"is": "timed", "steps": steps, "seconds": elapsed}


def peak_memory():
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def versions():
    words = [f"Python {platform.python_version()}", f"torch {torch.__version__}"]
    for name in ("timm", "pytorch_optimizer"):
        if name in sys.modules:
            from importlib.metadata import version

            words.append(f"{name} {version(name)}")
    return ", ".join(words)


class Peer:
    contender = None
    compiled_in = 0.0

    def obey(self, command):
        do = command["do"]
        if do == "prepare":
            self.contender = None
            torch.set_num_threads(command["threads"])
            kind = {"training": Training, "optimizer": Optimizer}[command["work"]["kind"]]
            self.contender = kind(command)
            words = versions()
            if getattr(self.contender, "compiled_in", None) is not None:
                # Only the first time is without what the compiler has kept.
                self.compiled_in = max(self.compiled_in, self.contender.compiled_in)
                words += f", compiled as {command['form']} in {self.compiled_in:.0f} s"
            return {"is": "done", "versions": words}
        if do == "release":
            self.contender = None
            return {"is": "done", "versions": versions()}
        if do == "memory":
            return {"is": "memory", "peak": peak_memory()}
        if do == "losses":
            return {"is": "losses", "losses": self.contender.losses(command["steps"])}
        if do == "time":
            return timed(self.contender, command["seconds"], command["cycle"])
        if do == "evaluate":
            return self.contender.evaluate(command["keep"])
        raise ValueError(f"this contender can't {do}")


def main():
    peer = Peer()
    for line in sys.stdin:
        try:
            answer = peer.obey(json.loads(line))
        except Exception as error:  # report any error to the other side
            answer = {"is": "failed", "message": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
