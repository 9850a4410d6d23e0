"""Losses and metrics by PyTorch and scikit-learn, for `src/objective/tests.rs`.

    python3 crates/lookahead-trainer/tests/golden/metrics.py

Needs torch and scikit-learn (the numbers in the tests were made with 2.13.0 and 1.9.1). The outputs and targets are those
of the tests.
"""

import math

import sklearn.metrics as sk
import torch
import torch.nn.functional as F

N = 40


def wave(count, seed):
    """Numbers from -1 to 1, the same in Rust: sin(i (seed + 1) 1.7 + seed)."""
    return torch.tensor([math.sin(i * (seed + 1) * 1.7 + seed) for i in range(count)], dtype=torch.float64).float()


def show(name, value):
    print(f"{name:32} {float(value):.9f}")


# Classes: 7 of them, of which the targets lack 5 and 6. The output of 6 is lowered: it is never predicted.
logits = 2 * wave(N * 7, 0).reshape(N, 7)
logits[:, 6] -= 10
targets = torch.tensor([i * i % 11 % 5 for i in range(N)])
weights = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0, 1.0])
predicted = logits.argmax(-1)
show("cross_entropy", F.cross_entropy(logits, targets))
show("smoothed", F.cross_entropy(logits, targets, label_smoothing=0.1))
show("weighted", F.cross_entropy(logits, targets, weight=weights))
show("smoothed and weighted", F.cross_entropy(logits, targets, weight=weights, label_smoothing=0.1))
show("perplexity", F.cross_entropy(logits, targets).exp())
show("accuracy", sk.accuracy_score(targets, predicted))
show("top5", sk.top_k_accuracy_score(targets, logits, k=5, labels=range(7)))
show("macro_f1", sk.f1_score(targets, predicted, average="macro"))
print("confusion_matrix", sk.confusion_matrix(targets, predicted, labels=range(7)).tolist())

# Numbers: two outputs, targets standardized with these standard deviations.
outputs = wave(N * 2, 1).reshape(N, 2)
numbers = 0.5 * outputs + wave(N * 2, 2).reshape(N, 2)
std = torch.tensor([2.0, 0.25], dtype=torch.float64)
show("loss mse", F.mse_loss(outputs, numbers))
show("loss mae", F.l1_loss(outputs, numbers))
show("loss huber", F.huber_loss(outputs, numbers, delta=0.3))
y, x = numbers.double() * std, outputs.double() * std
show("mse", sk.mean_squared_error(y, x))
show("rmse", sk.root_mean_squared_error(y, x))
show("mae", sk.mean_absolute_error(y, x))
show("r2", sk.r2_score(y, x))

# Labels: three, of which no sample has the last, and the model never predicts it.
logits = 3 * wave(N * 3, 3).reshape(N, 3)
logits[:, 2] -= 10
labels = (wave(N * 3, 4).reshape(N, 3) > 0.2).float()
labels[:, 2] = 0
predicted = (logits > 0).int()
show("binary_cross_entropy", F.binary_cross_entropy_with_logits(logits, labels))
show("labels' accuracy", (predicted == labels).double().mean())
show("labels' micro_f1", sk.f1_score(labels, predicted, average="micro"))
show("labels' macro_f1", sk.f1_score(labels, predicted, average="macro", zero_division=math.nan))
