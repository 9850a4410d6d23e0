"""Writes a starting crate for a task of one's own: a copy of examples/my-task with another name.

    python3 new_task.py FOLDER

The last part of FOLDER is the crate's name. The crate finds this clone's crates by their paths, and its libtorch.
"""

import os
import re
import shutil
import sys

EXAMPLES = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(EXAMPLES)
TEMPLATE = os.path.join(EXAMPLES, "my-task")
FILES = ["Cargo.toml", "build.rs", "README.md", "my-task.toml", "src/main.rs", "src/data.rs", "src/model.rs", "tests/run.rs"]

# What cargo or rustc refuse as the name of a program, or what would be ambiguous.
KEYWORDS = (
    "abstract as async await become box break const continue crate do dyn else enum extern false final fn for gen if impl in let loop "
    "macro match mod move mut override priv pub ref return self static struct super trait true try type typeof union unsafe unsized "
    "use virtual where while yield"
).split()
TAKEN = "alloc build core deps examples incremental proc_macro std test anyhow lookahead serde tch tempfile".split()


def fault(name):
    """What is wrong with the name of a crate."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,63}", name):
        return "Use lower-case letters, digits, `-` and `_`, beginning with a letter, 64 at most, for example `my-digits`."
    if name.replace("-", "_") in KEYWORDS:
        return "It is a word of Rust. Use another one."
    if name in TAKEN or name.startswith("lookahead-"):
        return "It is the name of another crate or of a folder of cargo. Use another one."
    return None


def main():
    if len(sys.argv) != 2 or not sys.argv[1]:
        return "Give a name: `just new-task NAME`."
    folder = os.path.abspath(sys.argv[1])
    name = os.path.basename(folder)
    wrong = fault(name)
    if wrong:
        return "`%s` can't be the name of a task. %s" % (name, wrong)
    if os.path.lexists(folder):
        return "%s exists, and is not overwritten. Use another name, or remove it." % folder
    if not os.path.isdir(os.path.dirname(folder)):
        return "There is no folder %s. Create it first." % os.path.dirname(folder)
    crates = os.path.join(ROOT, "crates")
    if os.path.commonpath([folder, ROOT]) == ROOT:
        crates = os.path.relpath(crates, folder)
    for file in FILES:
        with open(os.path.join(TEMPLATE, file), encoding="utf-8") as source:
            text = source.read()
        text = text.replace("my-task", name)
        if file == "Cargo.toml":
            text = text.replace("../../crates", crates)
            text += "\n# Not a member of a workspace around it.\n[workspace]\n"
        path = os.path.join(folder, file.replace("my-task", name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "x", encoding="utf-8") as copy:
            copy.write(text)
    with open(os.path.join(folder, ".gitignore"), "x", encoding="utf-8") as file:
        file.write("/target\n/checkpoints\n")
    os.makedirs(os.path.join(folder, ".cargo"))
    with open(os.path.join(folder, ".cargo", "config.toml"), "x", encoding="utf-8") as file:
        libtorch = os.path.join(ROOT, ".libtorch").replace("\\", "\\\\").replace('"', '\\"')
        file.write('# The libtorch that `just setup` got; a LIBTORCH of your own wins.\n[env]\nLIBTORCH = "%s"\n' % libtorch)
    shutil.copyfile(os.path.join(EXAMPLES, "Cargo.lock"), os.path.join(folder, "Cargo.lock"))
    print("Wrote %s. Next: cd %s && cargo run --release -- train %s.toml" % (folder, folder, name))
    return None


if __name__ == "__main__":
    error = main()
    if error:
        print("error: " + error, file=sys.stderr)
        sys.exit(2)
