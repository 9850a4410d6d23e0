#!/usr/bin/env python3
"""Checks that programs built against a libtorch with CUDA can use CUDA. Needs no GPU.

    cargo build --release --workspace --all-targets --message-format=json-render-diagnostics |
        python3 crates/lookahead-sys/libtorch/check_cuda.py LIBTORCH           what `just check-cuda` runs
        python3 crates/lookahead-sys/libtorch/check_cuda.py LIBTORCH --slim    for a libtorch without CUDA

A Rust program names no symbol of libtorch_cuda, which registers its kernels when it is loaded. So the linker
silently drops it, and CUDA with it, unless a build script of the program's own crate prevents that (build.rs
of lookahead-sys has the arguments). If libtorch has no CUDA, a program that names the library does not start.

For every program, example, test and bench that cargo built and whose crate depends on libtorch, it checks with
`readelf -d` that it names libtorch_cuda.so (with --slim: that it does not), and that its run path leads to
LIBTORCH, the folder that it was built against. Then it runs one test, without LD_LIBRARY_PATH, that checks for
CUDA's runtime (`has_cudart()`) and for NCCL. Exit status: 0 if all checks pass, otherwise 1.

Python 3.8 or newer, and its standard library only.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys

CUDA = "libtorch_cuda.so"
# In every libtorch; the run path must lead to it.
ALWAYS = "libtorch_cpu.so"
# At least one of each must exist, or the check has seen nothing.
KINDS = ("bin", "example", "test", "bench")
# The test that is run, and its output: crates/lookahead-core/tests/it/cuda/mod.rs.
PACKAGE, TARGET, TEST = "lookahead-core", "it", "cuda::cuda_is_linked_if_libtorch_has_it"
OUTPUT = "has_cudart() is %s, has_nccl() is %s"

Program = collections.namedtuple("Program", "package kind name path")


class CheckError(Exception):
    """Why nothing could be checked."""


def built_programs(lines, names):
    """The programs in cargo's messages, one JSON object per line, without build scripts."""
    programs, finished = [], False
    for line in lines:
        try:
            message = json.loads(line)
        except ValueError:
            raise CheckError("a line on stdin is not a message of `cargo build --message-format=json`: %r." % line)
        if message["reason"] == "build-finished":
            finished = message["success"]
        if message["reason"] != "compiler-artifact" or not message.get("executable"):
            continue
        target = message["target"]
        kind = target["kind"][0]
        if kind == "custom-build":
            continue
        if message["profile"]["test"] and kind not in ("test", "bench"):
            kind = "unit tests"
        package = names.get(message["package_id"], message["package_id"])
        programs.append(Program(package, kind, target["name"], message["executable"]))
    if not finished:
        raise CheckError("cargo's build failed, so nothing was checked; its own message is above.")
    return sorted(programs)


def workspace():
    """The names of the workspace's packages by their ids, and the names of those that depend on libtorch."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    packages = json.loads(output_of(command))["packages"]
    needs = {
        package["name"]: {need["name"] for need in package["dependencies"] if need["kind"] != "build"}
        for package in packages
    }
    users, before = {"tch", "torch-sys"}, None
    while users != before:
        before = set(users)
        users |= {name for name, wanted in needs.items() if wanted & users}
    return {package["id"]: package["name"] for package in packages}, users


def output_of(command):
    # readelf translates its output.
    environment = dict(os.environ, LC_ALL="C")
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment).stdout.decode()
    except FileNotFoundError:
        raise CheckError("there is no %s. Install it: `sudo apt install binutils`, or Rust for cargo." % command[0])
    except subprocess.CalledProcessError as error:
        raise CheckError("`%s` failed with status %d." % (" ".join(command), error.returncode))


def dynamic_section(path):
    """The libraries that a program names, and the folders in which the loader searches for them."""
    text = output_of(["readelf", "--wide", "--dynamic", path])
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", text)
    run_path = [folder for found in re.findall(r"\((?:RUNPATH|RPATH)\).*\[(.*)\]", text) for folder in found.split(":")]
    origin = os.path.dirname(os.path.abspath(path))
    return needed, [folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for folder in run_path]


def faults_of(program, libraries, slim):
    """The faults of a program that uses libtorch, one sentence each, and what the table shows."""
    who = "%s %s of %s" % (program.kind, program.name, program.package)
    needed, run_path = dynamic_section(program.path)
    torch = sorted(name for name in needed if name.startswith(("libtorch", "libc10")))
    named = ", ".join(torch) or "no library of libtorch"
    faults = []
    if slim and CUDA in needed:
        faults.append("%s names %s, which is not in %s: it does not start (%s)." % (who, CUDA, libraries, program.path))
    if not slim and CUDA not in needed:
        faults.append(
            "%s does not name %s, so it would find no GPU; it names %s. Its crate needs a build.rs that prints the "
            "link arguments of lookahead-sys (%s)." % (who, CUDA, named, program.path)
        )
    found = next((folder for folder in run_path if os.path.exists(os.path.join(folder, ALWAYS))), None)
    if found is None or os.path.realpath(found) != os.path.realpath(libraries):
        faults.append(
            "the run path of %s leads to %s and not to %s: it is %s (%s)."
            % (who, found or "no libtorch", libraries, ":".join(run_path) or "empty", program.path)
        )
    return faults, (named, found or "nothing")


def expected_output(slim):
    return OUTPUT % (("false" if slim else "true",) * 2)


def faults_of_runtime(programs, slim):
    """Runs the test that checks for CUDA's runtime."""
    chosen = [p.path for p in programs if (p.package, p.kind, p.name) == (PACKAGE, "test", TARGET)]
    if not chosen:
        return ["cargo built no test %s of %s, which checks for CUDA's runtime." % (TARGET, PACKAGE)]
    command = [chosen[0], "--exact", TEST, "--nocapture"]
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    output = process.stdout.decode(errors="replace")
    wanted = expected_output(slim)
    if process.returncode == 0 and "1 passed" in output and wanted in output:
        return []
    return [
        "`%s` should pass and print `%s`; its status is %d, and it prints:\n    %s"
        % (" ".join(command), wanted, process.returncode, output.strip().replace("\n", "\n    "))
    ]


def print_table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def check(libtorch, slim, lines):
    """Prints what was checked, then the faults. True if there are none."""
    libraries = os.path.join(libtorch, "lib")
    has_cuda = os.path.exists(os.path.join(libraries, CUDA))
    if has_cuda == slim or not os.path.exists(os.path.join(libraries, ALWAYS)):
        what = "one without %s" % CUDA if slim else "one with %s" % CUDA
        raise CheckError("%s is not a libtorch to check against: it must be %s." % (libtorch, what))
    names, users = workspace()
    programs = built_programs(lines, names)
    faults, rows = [], [("program", "of", "", "names of libtorch", "finds it in")]
    using = [program for program in programs if program.package in users]
    for program in using:
        found, (named, place) = faults_of(program, libraries, slim)
        faults += found
        mark = "WRONG" if found else "ok"
        rows.append(("%s %s" % (program.kind, program.name), program.package, mark, named, place))
    for kind in KINDS:
        if not any(program.kind == kind for program in using):
            faults.append("cargo built no %s that uses libtorch: build with --all-targets." % kind)
    faults += faults_of_runtime(programs, slim)
    print_table(rows)
    others = len(programs) - len(using)
    print("%d programs checked; %d more belong to crates without libtorch." % (len(using), others))
    for fault in faults:
        print("check_cuda: " + fault, file=sys.stderr)
    if not faults:
        test = "%s, run from %s" % (TEST, TARGET)
        print("All checks passed; %s (%s)." % (expected_output(slim), test))
    return not faults


def main():
    description = "Checks that the programs which `cargo build` lists on stdin can use CUDA."
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("libtorch", metavar="LIBTORCH", help="the folder of the libtorch that they were built against")
    parser.add_argument("--slim", action="store_true", help="a build without CUDA: check that no program needs it")
    arguments = parser.parse_args()
    return 0 if check(arguments.libtorch, arguments.slim, sys.stdin) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CheckError as error:
        print("check_cuda: %s" % error, file=sys.stderr)
        sys.exit(1)
