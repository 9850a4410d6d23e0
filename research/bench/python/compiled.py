"""A training step under `torch.compile`: the loss with its backward pass, the sync, and the inner optimizer.

With the form `foreach` the optimizer is compiled too, with `fused` it stays as it is.
"""

import time

import torch


def compile_step(training, form):
    """Compiles the parts of a training's step, takes steps until all is compiled, and puts everything back. Returns
    the seconds that this took."""
    torch._dynamo.reset()
    training.loss = torch.compile(training.loss, dynamic=False)
    lookahead = training.lookahead
    lookahead.sync = torch.compile(lookahead.sync, dynamic=False)
    if form == "foreach":
        # A step rate that is a number would be a constant of the graph, as here, where it never changes.
        lookahead.base.step = torch.compile(lookahead.base.step, dynamic=False)
    first = [fast.detach().clone() for fast, _ in lookahead.pairs]
    started = time.perf_counter()
    # An epoch's last batch is smaller, and has code of its own.
    rest = len(training.samples) % training.batch_size
    sizes = [training.batch_size] * (2 * lookahead.k + 1) + [rest] * (rest > 0)
    training.batches = iter([torch.arange(size) for size in sizes])
    for _ in sizes:
        training.step()
    seconds = time.perf_counter() - started
    with torch.no_grad():
        for (fast, slow), weights in zip(lookahead.pairs, first):
            fast.copy_(weights)
            slow.copy_(weights)
        # Without dampening, momenta of zero are those of the first step.
        for state in lookahead.base.state.values():
            for value in state.values():
                if torch.is_tensor(value):
                    value.zero_()
    lookahead.steps = 0
    return seconds
