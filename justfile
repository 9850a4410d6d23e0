# `just` alone lists what can be done. Arguments after a recipe's own go to the program as they are:
# `just train digits --set optimizer.lr=0.1 --no-tui`.

set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments := true

just := quote(just_executable()) + " --justfile " + quote(justfile())
# Recipes end in `exec` of the program, so that Ctrl-C and `kill` reach it and its exit status is theirs.
lookahead := quote(env("CARGO_TARGET_DIR", "target") / "release/lookahead")

[private]
default:
    @{{ just }} --list --unsorted

# Get libtorch, once for all clones; the other recipes call this, and it is instant when done
setup:
    @{{ just }} _python3 crates/lookahead-sys/libtorch/setup.py

# Train configs/CONFIG.toml, or any .toml file
train CONFIG="fashion-mnist" *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    config=$1; shift
    # `just train --no-tui`: no config was named.
    if [[ $config == -* ]]; then set -- "$config" "$@"; config=fashion-mnist; fi
    here={{ quote(invocation_directory()) }}
    if [[ $config == *.toml ]]; then
        if [[ $config != /* && -e $here/$config ]]; then config=$here/$config; fi
    else
        if [[ ! -e configs/$config.toml ]]; then
            echo "There is no configs/$config.toml. CONFIG is the path of a .toml file, or one of:" >&2
            for file in configs/*.toml; do basename "$file" .toml; done | sed 's/^/    /' >&2
            exit 2
        fi
        config=configs/$config.toml
    fi
    {{ just }} _build
    exec {{ lookahead }} train "$config" "$@"

# Go on with a run (a folder, or its name in checkpoints/; the latest if none is named)
resume RUN="" *ARGS:
    @{{ just }} _on_run resume "$@"

# Loss and accuracy of a run on the test set (a folder, or its name in checkpoints/; else the latest)
eval RUN="" *ARGS:
    @{{ just }} _on_run eval "$@"

# What is found of libtorch, CUDA, threads and data, what is missing, and how to mend it
doctor *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    # First what the program itself needs in order to be built and to start.
    {{ just }} _python3 crates/lookahead-sys/libtorch/setup.py --check >&2
    {{ just }} _build
    exec {{ lookahead }} doctor "$@"

# Run every test; ARGS, such as a part of a test's name, go to nextest or to `cargo test`
test *ARGS: _setup
    #!/usr/bin/env bash
    set -euo pipefail
    {{ just }} _python3 -B -m unittest discover --start-directory crates/lookahead-sys/libtorch
    # libtorch has one random generator for the whole process: one process a test, or one thread.
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --release --locked --workspace "$@"
        exec cargo test --release --locked --workspace --doc
    fi
    exec cargo test --release --locked --workspace "$@" -- --test-threads=1

# Formatting, clippy and the documentation, with warnings as errors
lint: _setup
    cargo fmt --all --check
    cargo clippy --release --locked --workspace --all-targets -- --deny warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --workspace --no-deps

# Build the documentation, and open it in a browser
docs: _setup
    cargo doc --release --locked --workspace --no-deps --open

[private]
_setup:
    @{{ just }} _python3 crates/lookahead-sys/libtorch/setup.py --quiet

[private]
_build: _setup
    @cargo build --release --locked --package lookahead-trainer --bin lookahead

[private]
_python3 *ARGS:
    @command -v python3 >/dev/null || { echo "python3 is missing: sudo apt install python3" >&2; exit 1; }
    @exec python3 "$@"

# COMMAND is one of the program's; RUN is a folder, a name in checkpoints/, or empty for the latest.
[private]
_on_run COMMAND RUN="" *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    command=$1 run=$2; shift 2
    # `just eval --json`: no run was named.
    if [[ $run == -* ]]; then set -- "$run" "$@"; run=; fi
    here={{ quote(invocation_directory()) }}
    if [[ -z $run ]]; then
        newest=
        for log in checkpoints/*/events.jsonl; do
            if [[ -e $log && ( -z $newest || $log -nt $newest ) ]]; then newest=$log; fi
        done
        if [[ -z $newest ]]; then
            echo "There is no run in checkpoints/ yet. Start one: just train" >&2
            exit 2
        fi
        run=${newest%/events.jsonl}
        echo "$command: $run, the latest run" >&2
    elif [[ $run != /* && -d $here/$run ]]; then
        run=$here/$run
    elif [[ ! -d $run && -d checkpoints/$run ]]; then
        run=checkpoints/$run
    fi
    {{ just }} _build
    exec {{ lookahead }} "$command" "$run" "$@"
