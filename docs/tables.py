"""Trains scikit-learn's MLP and `lookahead` on the same rows of public tables, and writes docs/tables.md.

    cargo build --release && pip install scikit-learn==1.9.1
    python docs/tables.py

Takes about two minutes on two cores. The tables are those that scikit-learn brings along; the program reads them as CSV files.
"""

import json
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy
import sklearn
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

ROOT = pathlib.Path(__file__).resolve().parents[1]
SEEDS = 10
EPOCHS, BATCH_SIZE, RATE, HIDDEN = 60, 32, 0.003, 32

CONFIG = """
[data]
kind = "csv"
file = "train.csv"
test_file = "test.csv"
target = "target"
validation = 0
batch_size = {batch_size}

[model]
kind = "mlp"
hidden = [{hidden}]

[optimizer]
kind = "adam"
lr = {rate}
{lookahead}
[train]
epochs = {epochs}
evaluate_every_epochs = {epochs}
threads = 1

[probe]
every_syncs = 0
"""


def write_table(path, names, inputs, targets):
    rows = numpy.column_stack([inputs, targets])
    text = [",".join([*names, "target"])] + [",".join(f"{x:.10g}" for x in row) for row in rows]
    path.write_text("\n".join(text) + "\n")


def train_here(folder, lookahead, seed, metric):
    """The metric on the test rows, of the final model of one run of the program."""
    name = f"{'lookahead' if lookahead else 'adam'}-{seed}"
    section = "\n[lookahead]\nk = 5\nalpha = 0.5\n" if lookahead else ""
    settings = {"batch_size": BATCH_SIZE, "hidden": HIDDEN, "rate": RATE, "epochs": EPOCHS}
    (folder / f"{name}.toml").write_text(CONFIG.format(lookahead=section, **settings))
    program = ROOT / "target/release/lookahead"

    def run(*arguments):
        done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return done.stdout

    run("train", f"{name}.toml", "--out", "runs", "--set", f"train.seed={seed}", "--no-tui")
    report = json.loads(run("eval", f"runs/{name}", "--json"))
    return report["metrics"][metric]


def train_there(train, test, kind, seed):
    inputs, targets = train
    scaler = StandardScaler().fit(inputs)
    common = {
        "hidden_layer_sizes": (HIDDEN,),
        "learning_rate_init": RATE,
        "batch_size": BATCH_SIZE,
        "max_iter": EPOCHS,
        "random_state": seed,
        # Exactly EPOCHS epochs.
        "n_iter_no_change": EPOCHS,
        # The program has no weight decay by default.
        "alpha": 0.0,
    }
    if kind == "classification":
        model = MLPClassifier(**common).fit(scaler.transform(inputs), targets)
    else:
        mean, deviation = targets.mean(), targets.std()
        model = MLPRegressor(**common).fit(scaler.transform(inputs), (targets - mean) / deviation)
        test = (test[0], (test[1] - mean) / deviation)
    # The accuracy or R², which does not depend on the scale of the target.
    return model.score(scaler.transform(test[0]), test[1])


def compare(name, load, kind, pool):
    data = load(scaled=False) if load is load_diabetes else load()
    names = [column.replace(" ", "_") for column in data.feature_names]
    stratify = data.target if kind == "classification" else None
    parts = train_test_split(data.data, data.target, test_size=0.25, random_state=0, stratify=stratify)
    train, test = (parts[0], parts[2]), (parts[1], parts[3])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_table(folder / "train.csv", names, *train)
        write_table(folder / "test.csv", names, *test)
        metric = "accuracy" if kind == "classification" else "r2"
        seeds = range(SEEDS)
        results = {
            "scikit-learn, Adam": [train_there(train, test, kind, seed) for seed in seeds],
            "lookahead, Adam": list(pool.map(lambda seed: train_here(folder, False, seed, metric), seeds)),
            "lookahead, Lookahead(Adam)": list(pool.map(lambda seed: train_here(folder, True, seed, metric), seeds)),
        }
    for method, values in results.items():
        print(f"{name}: {method}: {statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}", file=sys.stderr)
    return name, kind, len(train[1]), len(test[1]), results


def cell(values, kind):
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    if kind == "classification":
        return f"{100 * mean:.1f} ± {100 * deviation:.1f} %"
    return f"{mean:.3f} ± {deviation:.3f}"


def within_spread(results):
    """Whether the means differ by less than the seeds' standard deviations together."""
    reference, *others = (list(values) for values in results.values())
    for values in others:
        allowed = statistics.stdev(reference) + statistics.stdev(values)
        if statistics.mean(reference) - statistics.mean(values) > allowed:
            return False
    return True


def page(found):
    methods = list(found[0][4])
    lines = [
        "# Tables: compared with scikit-learn",
        "",
        "`data.kind = \"csv\"` with an `mlp`, and scikit-learn's `MLPClassifier` or `MLPRegressor`, on the same training and test rows of public tables: mean ± standard",
        f"deviation over {SEEDS} seeds. All have one hidden layer of {HIDDEN} units with ReLU, batches of {BATCH_SIZE}, {EPOCHS} epochs, no weight decay, and Adam with a learning rate of",
        f"{RATE}, which was not tuned. Lookahead has k = 5 and α = 0.5. A quarter of the rows is the test set. The program's means are {'all' if all(within_spread(f[4]) for f in found) else 'NOT all'} within the seeds' spread of",
        "scikit-learn's, or better: they fall short by less than the two standard deviations together.",
        "",
        "| table | task | training rows | test rows | " + " | ".join(methods) + " |",
        "|---|---|---|---|" + "---|" * len(methods),
    ]
    for name, kind, train, test, results in found:
        measure = "accuracy" if kind == "classification" else "R²"
        cells = " | ".join(cell(values, kind) for values in results.values())
        lines.append(f"| {name} | {kind}, {measure} | {train} | {test} | {cells} |")
    versions = f"scikit-learn {sklearn.__version__}, Python {platform.python_version()}, {platform.machine()}"
    lines += [
        "",
        f"Measured on the CPU with one thread for each run, with {versions}, by [tables.py](tables.py), which writes this page.",
        "",
        "The tables are those of scikit-learn: *Wine* and *Breast Cancer Wisconsin (Diagnostic)* of the UCI Machine Learning Repository (CC BY 4.0), and *Diabetes* of",
        "B. Efron, T. Hastie, I. Johnstone, R. Tibshirani, *Least Angle Regression*, 2004. [configs/wine.toml](../configs/wine.toml) trains on the first one.",
    ]
    return "\n".join(lines) + "\n"


def main():
    with ThreadPoolExecutor(2) as pool:
        found = [
            compare("Wine", load_wine, "classification", pool),
            compare("Breast cancer", load_breast_cancer, "classification", pool),
            compare("Diabetes", load_diabetes, "regression", pool),
        ]
    (ROOT / "docs/tables.md").write_text(page(found))


if __name__ == "__main__":
    main()
