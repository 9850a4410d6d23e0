# `just` alone lists the recipes. Extra arguments go to the program unchanged:
# `just train digits --set optimizer.lr=0.1 --no-tui`.

set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments

just := quote(just_executable()) + " --justfile " + quote(justfile())
# Recipes end by `exec`ing the program, so that it receives Ctrl-C and `kill`, and its exit status is theirs.
lookahead := quote(env("CARGO_TARGET_DIR", "target") / "release/lookahead")

here := quote(invocation_directory())
# The program finds names in configs/ and checkpoints/ of this folder. A path may also be in the folder where `just` was
# called. Without a first argument the program chooses.
first_from_here := 'if [[ -z $1 ]]; then shift; elif [[ ' + here + ' != "$PWD" && $1 != -* && -e ' + here + '/$1 ]]; then set -- ' + here + '/"$1" "${@:2}"; fi'

# Every recipe that tests builds the same things: .cargo/tests.toml says how.
tests := "--release --locked --workspace --config .cargo/tests.toml"

[private]
default:
    @{{ just }} --list --unsorted

# Download libtorch, once for all clones; the other recipes call this, and it is instant when done
[no-exit-message]
setup:
    @{{ just }} _python3 crates/lookahead-sys/libtorch/setup.py

# Train configs/CONFIG.toml, or any .toml file
[no-exit-message]
train CONFIG="fashion-mnist" *ARGS: _build
    #!/usr/bin/env bash
    set -euo pipefail
    # `just train --no-tui`: no config given.
    if [[ $1 == -* ]]; then set -- fashion-mnist "$@"; fi
    {{ first_from_here }}
    exec {{ lookahead }} train "$@"

# Write the optical digits as PNG files into target/digits-png, for `just train digits-png`
[no-exit-message]
digits-png:
    @{{ just }} _python3 crates/lookahead-trainer/data/digits_png.py target/digits-png

# Write the optical digits as arrays of NumPy into target/digits.npz, for `just train digits-npz`
[no-exit-message]
digits-npz:
    @mkdir -p target
    @{{ just }} _python3 crates/lookahead-trainer/data/digits_npz.py target/digits.npz

# Resume a run (a folder, or a name in checkpoints/; default: the latest)
[no-exit-message]
resume RUN="" *ARGS: _build
    #!/usr/bin/env bash
    set -euo pipefail
    {{ first_from_here }}
    exec {{ lookahead }} resume "$@"

# Open the dashboard on running or finished runs (folders, or names in checkpoints/; default: the latest)
[no-exit-message]
watch *RUNS: _build
    #!/usr/bin/env bash
    set -euo pipefail
    arguments=()
    for argument in "$@"; do
        if [[ {{ here }} != "$PWD" && $argument != -* && -e {{ here }}/$argument ]]; then
            argument={{ here }}/$argument
        fi
        arguments+=("$argument")
    done
    exec {{ lookahead }} watch "${arguments[@]}"

# Evaluate a run on the test set (a folder, or a name in checkpoints/; default: the latest)
[no-exit-message]
eval RUN="" *ARGS: _build
    #!/usr/bin/env bash
    set -euo pipefail
    {{ first_from_here }}
    exec {{ lookahead }} eval "$@"

# Predict for samples in files: a CSV (`-` is stdin), images or arrays; RUN is a folder, or a name in checkpoints/
[no-exit-message]
predict RUN +ARGS: _build
    #!/usr/bin/env bash
    set -euo pipefail
    run=$1; shift
    # Runs are here, inputs and outputs in the folder where `just` was called.
    for folder in "$run" "checkpoints/$run"; do
        if [[ {{ here }} == "$PWD" || -e {{ here }}/$run ]]; then break; fi
        if [[ -e $folder ]]; then run=$(realpath "$folder"); break; fi
    done
    program=$(realpath {{ lookahead }})
    cd {{ here }}
    exec "$program" predict "$run" "$@"

# Continue a text with a text model (RUN is a folder, or a name in checkpoints/; default: the latest)
[no-exit-message]
generate RUN="" *ARGS: _build
    #!/usr/bin/env bash
    set -euo pipefail
    {{ first_from_here }}
    exec {{ lookahead }} generate "$@"

# Write a starting crate for a task of your own, in a new folder NAME where `just` was called
[no-exit-message]
new-task NAME: _setup
    @cd {{ here }} && exec python3 -B {{ quote(justfile_directory() / "examples/new_task.py") }} "$1"

# Check this machine: libtorch, CUDA, threads and data; what is missing, and how to fix it
[no-exit-message]
doctor *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    # First what the program needs to build and start.
    {{ just }} _python3 crates/lookahead-sys/libtorch/setup.py --check
    {{ just }} _build
    exec {{ lookahead }} doctor "$@"

# Run all tests, or those selected by ARGS (passed to nextest, or to `cargo test` if it is missing)
test *ARGS: _setup
    #!/usr/bin/env bash
    set -euo pipefail
    # libtorch has one random generator for the whole process: one process a test, or one thread.
    if cargo nextest --version >/dev/null 2>&1; then
        # Many tests wait: for other processes, for a timeout.
        export NEXTEST_TEST_THREADS=${NEXTEST_TEST_THREADS:-$((2 * {{ num_cpus() }}))}
        status=0
        cargo nextest run {{ tests }} "$@" || status=$?
        {{ just }} _slowest
        if [[ $status -ne 0 ]]; then exit "$status"; fi
        # Each doctest is a process too.
        if [[ $# -eq 0 ]]; then RUST_TEST_THREADS={{ num_cpus() }} cargo test {{ tests }} --doc; fi
    else
        cargo test {{ tests }} "$@" -- --test-threads=1
    fi
    if [[ $# -eq 0 ]]; then
        {{ just }} test-examples
        {{ just }} test-processors
        {{ just }} _python3 -B -m unittest discover --start-directory crates/lookahead-sys/libtorch
    fi

# Build the programs in examples/, each of which is outside this workspace, and one by `just new-task`, and run their tests (part of `just test`)
test-examples: _setup
    #!/usr/bin/env bash
    set -euo pipefail
    target=$(realpath --canonicalize-missing {{ quote(env("CARGO_TARGET_DIR", "target")) }})
    options=(--release --config "$PWD/.cargo/tests.toml" --target-dir "$target")
    cargo test "${options[@]}" --locked --manifest-path examples/Cargo.toml
    {{ just }} _python3 -B -m unittest discover --start-directory examples
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    {{ just }} _python3 examples/new_task.py "$folder/new-one"
    # It then has the dependencies of the examples, which are there.
    cargo add --quiet --offline --dev --manifest-path "$folder/new-one/Cargo.toml" --path examples/same-features
    cd "$folder/new-one"
    cargo test "${options[@]}" --offline

# Train the digits with the seeds FIRST to LAST, and print each alarm of the watchdog; it should print none
watchdog-alarms FIRST="200" LAST="399": _build
    #!/usr/bin/env bash
    set -euo pipefail
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
    for ((seed = $1; seed <= $2; seed++)); do
        {{ lookahead }} train digits --no-tui --out "$out" --name "$seed" --set train.seed="$seed" --set train.threads=1 2> "$out/messages"
        grep '"warning"' "$out/$seed/events.jsonl" | grep 'watchdog\.' || true
    done

# Build the example with candle and run its test. Not part of `just test`: candle and its dependencies take minutes
test-candle:
    cargo test --locked --manifest-path examples/candle/Cargo.toml --target-dir {{ quote(env("CARGO_TARGET_DIR", "target") / "candle") }}

# Run the numerical tests as on a processor with AVX2 only, and the library's without vector instructions (part of `just test`)
test-processors: _setup
    #!/usr/bin/env bash
    set -euo pipefail
    # What a kernel can change. The rest of the library's tests are about when something is called.
    shim='arithmetic autocast average fused images muon norm ops optimizer optimizers rules sync tensor'
    kernels='averages clipping complex inner_optimizers laws master_weights muon non_finite norms outer_step policies properties sparse trajectories trajectory'
    trainer='computing lookahead_section'
    # One process for each binary: loading libtorch takes longer than most of these tests.
    selected() { cargo test {{ tests }} --lib --test it --no-fail-fast -- --quiet "$@"; }
    library=($(printf '%s::tests:: ' $shim) $(printf '%s:: ' $kernels))
    cargo test {{ tests }} --lib --test it --no-run
    output=$(mktemp)
    trap 'rm -f "$output"' EXIT
    ATEN_CPU_CAPABILITY=default selected "${library[@]}" &>"$output" &
    status=0
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 \
        selected "${library[@]}" $(printf '%s:: ' $trainer) || status=$?
    wait $! || { status=$?; cat "$output"; }
    exit "$status"

# Check that the optimized program, as users build it, has the same losses bit for bit as the tests' build
test-optimized: _setup
    #!/usr/bin/env bash
    set -euo pipefail
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    losses() {
        {{ lookahead }} train configs/digits.toml --no-tui --quiet --out "$folder" --name "$1" --set train.max_steps=20
        grep '"event":"step"' "$folder/$1/events.jsonl" | grep -o '"loss":[^,}]*' >"$folder/$1.txt"
    }
    # With an example, dependencies have the features that they have for the tests.
    program=(--bin lookahead --example demo)
    cargo build {{ tests }} "${program[@]}"
    losses tests
    cargo build --release --locked --workspace "${program[@]}"
    losses users
    [[ $(wc -l <"$folder/users.txt") -eq 20 ]]
    diff "$folder/tests.txt" "$folder/users.txt"
    echo "The optimized program and the tests' build have the same 20 losses."

# Search libtorch for kernels that write outside their memory or compute wrong results, on this processor or as on a lesser one (ISA: AVX2, SSE41); takes minutes
scan-kernels ISA="": _setup
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --release --locked --package lookahead-sys --example scan_kernels
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    cc -O1 -shared -fPIC -o "$folder/guard.so" crates/lookahead-sys/examples/scan_kernels/guard.c
    case $1 in
        "") ;;
        AVX2) export ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 ;;
        SSE41) export ONEDNN_MAX_CPU_ISA=SSE41 ATEN_CPU_CAPABILITY=default ;;
        *) echo "ISA is AVX2 or SSE41." >&2; exit 2 ;;
    esac
    # Spinning threads would take time from computing ones.
    export LOOKAHEAD_GUARD=$folder/guard.so OMP_WAIT_POLICY=passive
    {{ quote(env("CARGO_TARGET_DIR", "target") / "release/examples/scan_kernels") }}

# Train under the real torchrun, which restarts killed processes (part of `just test` if `just python` was run)
test-torchrun: _setup
    TORCH_PYTHON=$({{ just }} python) LOOKAHEAD_REQUIRE_PYTHON=1 cargo test {{ tests }} --test program torchrun::

# Run the tests of the optimizer on the GPU too; fails without a GPU, while `just test` skips them
test-cuda *ARGS: _setup
    #!/usr/bin/env bash
    set -euo pipefail
    export LOOKAHEAD_REQUIRE_CUDA=1
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run {{ tests }} -E 'package(lookahead-sys) + package(lookahead-core)' "$@"
    else
        cargo test --release --locked --package lookahead-sys --package lookahead-core --features distributed,images,serde,torchscript --tests "$@" -- --test-threads=1
    fi

# Build against libtorch with CUDA and check that every program reaches it; needs no GPU, too slow for CI
[no-exit-message]
check-cuda:
    #!/usr/bin/env bash
    set -euo pipefail
    target={{ quote(env("CARGO_TARGET_DIR", "target") / "cuda") }}
    cat >&2 <<EOF
    This builds all of it a second time: 6 to 15 minutes on two cores, and 0.7 GB in $target,
    which can go afterwards. The first time libtorch with CUDA is downloaded, 2.5 GB, once for all clones;
    it needs 7.6 GB free in the cache meanwhile, and keeps 3.7. .libtorch stays as it is.
    EOF
    # Ignore the user's own libtorch: this recipe checks ours.
    unset LIBTORCH_USE_PYTORCH LIBTORCH_LIB LIBTORCH_INCLUDE
    LIBTORCH=$({{ just }} _python3 crates/lookahead-sys/libtorch/setup.py --fetch cuda)
    export LIBTORCH
    CARGO_TARGET_DIR=$target cargo build --release --locked --workspace --all-targets \
        --message-format=json-render-diagnostics |
        {{ just }} _python3 crates/lookahead-sys/libtorch/check_cuda.py "$LIBTORCH"

# Benchmark against PyTorch with timm's and pytorch_optimizer's Lookahead and write docs/benchmarks.md (half an hour); `just bench quick`: minutes, leaves docs alone
[no-exit-message]
bench *ARGS: _setup
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --release --locked --package lookahead-trainer --package lookahead-bench --bins
    TORCH_PYTHON=$({{ just }} _peers)
    export TORCH_PYTHON
    exec {{ quote(env("CARGO_TARGET_DIR", "target") / "release/lookahead-bench") }} "$@"

# Compare the library with plain C++ on the same libtorch, PyTorch and `torch.compile`, on two workloads (minutes)
[no-exit-message]
bench-peers *ARGS: _setup
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --release --locked --package lookahead-trainer --package lookahead-bench --bins
    release={{ quote(env("CARGO_TARGET_DIR", "target") / "release") }}
    libtorch=$(realpath "${LIBTORCH:-.libtorch}")
    "${CXX:-c++}" -std=c++20 -O2 -isystem "$libtorch/include" -isystem "$libtorch/include/torch/csrc/api/include" \
        research/bench/cpp/peer.cc -o "$release/lookahead-bench-cpp" \
        -L"$libtorch/lib" -ltorch_cpu -lc10 -Wl,-rpath,"$libtorch/lib"
    TORCH_PYTHON=$({{ just }} _peers)
    export TORCH_PYTHON
    exec "$release/lookahead-bench" peers cpp torch torch-compiled "$@"

# Compare the library with candle and burn, on two workloads without Lookahead; building them takes minutes
[no-exit-message]
bench-rust *ARGS: _setup
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --release --locked --package lookahead-trainer --package lookahead-bench --bins
    target=$(realpath --canonicalize-missing {{ quote(env("CARGO_TARGET_DIR", "target")) }})
    # In its folder is the configuration that compiles for this processor.
    (cd research/bench/rust && cargo build --release --locked --target-dir "$target/peers")
    cp "$target/peers/release/lookahead-peers" "$target/release/"
    exec "$target/release/lookahead-bench" peers candle burn-flex "$@"

# Benchmark parts against what they replace: sync, inner-step, workers, checkpoint, dashboard, growth, limit, or all of them
[no-exit-message]
bench-parts *PARTS: _setup
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --release --locked --package lookahead-trainer --package lookahead-bench --bins
    exec {{ quote(env("CARGO_TARGET_DIR", "target") / "release/lookahead-bench") }} parts "$@"

# Train all runs of the evidence report and write docs/evidence.md (hours; resumes if interrupted); `quick`: minutes, leaves docs alone
[no-exit-message]
reproduce HOW="all": _setup
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --release --locked --package lookahead-trainer --package lookahead-evidence --bins
    sweeps=(noisy-quadratic quadratic digits-optimizers digits-momentum digits-k-alpha digits-policies)
    folder=checkpoints/evidence
    options=()
    case $1 in
        all) sweeps+=(mlp-optimizers mlp-stability cnn-optimizers); docs=docs ;;
        quick) docs=$folder; options=(--partial) ;;
        *) echo "HOW is all or quick." >&2; exit 2 ;;
    esac
    # A sweep that was stopped ends with status 0, and bash would begin the next one.
    trap 'exit 130' INT TERM
    for sweep in "${sweeps[@]}"; do
        {{ lookahead }} sweep "configs/sweeps/$sweep.toml" --out "$folder" --allow-divergence
    done
    {{ lookahead }}-evidence "$folder" --output "$docs" "${options[@]}"

# Compare runs and sweeps (folders, or names in checkpoints/)
[no-exit-message]
compare *RUNS: _build
    #!/usr/bin/env bash
    set -euo pipefail
    arguments=()
    for argument in "$@"; do
        if [[ {{ here }} != "$PWD" && $argument != -* && -e {{ here }}/$argument ]]; then
            argument={{ here }}/$argument
        fi
        arguments+=("$argument")
    done
    exec {{ lookahead }} compare "${arguments[@]}"

# Kill the trainer, and either of two that train together, TIMES times at random moments and after each call that changes the disk; takes minutes
crash-test TIMES="200": _setup
    #!/usr/bin/env bash
    set -euo pipefail
    export LOOKAHEAD_CRASHES=$1
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run {{ tests }} --profile crash-test -E 'test(/^(crashes::|distributed::killed)/)' --no-capture
    else
        cargo test {{ tests }} --test it --test program -- --test-threads=1 --nocapture crashes:: distributed::killed
    fi

# Fuzz every parser of external input for SECONDS each; needs cargo-fuzz
fuzz SECONDS="60": _setup
    #!/usr/bin/env bash
    set -euo pipefail
    if ! cargo fuzz --version >/dev/null 2>&1; then
        echo "cargo-fuzz is missing: cargo install cargo-fuzz --locked; rustup toolchain install nightly" >&2
        exit 1
    fi
    cd fuzz
    for target in $(cargo fuzz list); do
        mkdir -p "corpus/$target"
        cargo +nightly fuzz run --sanitizer none "$target" "corpus/$target" "seeds/$target" -- \
            -max_total_time="$1" -max_len=65536 -rss_limit_mb=4096 -timeout=20 -print_final_stats=1
    done

# Make a virtual environment with PyTorch, timm, pytorch_optimizer and TensorBoard for the tests and recipes that need them (4.7 GB); TORCH_PYTHON=… replaces it
python:
    #!/usr/bin/env bash
    set -euo pipefail
    python=${TORCH_PYTHON:-}
    if [[ -z $python ]]; then
        folder=${XDG_CACHE_HOME:-$HOME/.cache}/lookahead/golden-python
        python=$folder/bin/python
        has() { "$python" -c "from importlib.util import find_spec; exit(not all(map(find_spec, '$1'.split())))" 2>/dev/null; }
        if ! has "torch safetensors timm pytorch_optimizer tensorboard"; then
            echo "Getting PyTorch, timm, pytorch_optimizer and TensorBoard into $folder, once for all clones: 2.5 GB of download." >&2
            if ! has "torch safetensors"; then python3 -m venv --clear "$folder"; fi
            "$python" -m pip install --quiet --require-hashes --requirement research/bench/python/requirements.txt >&2
        fi
    fi
    echo "$python"

# The Python of `just python`, checked for `just bench` if it is the user's own
[private]
_peers:
    #!/usr/bin/env bash
    set -euo pipefail
    python=$({{ just }} python)
    if ! "$python" -c "import timm.optim, pytorch_optimizer" 2>/dev/null; then
        echo "$python, which TORCH_PYTHON names, lacks what \`just bench\` needs:" >&2
        echo "    $python -m pip install --require-hashes --requirement research/bench/python/requirements.txt" >&2
        exit 1
    fi
    echo "$python"

# Regenerate the tests' golden trajectories with PyTorch
golden:
    #!/usr/bin/env bash
    set -euo pipefail
    golden=crates/lookahead-core/tests/golden
    python=$({{ just }} python)
    # Write to a temporary file first: a failure leaves the old one in place.
    made=$(mktemp)
    trap 'rm -f "$made"' EXIT
    "$python" "$golden/reference.py" > "$made"
    cp "$made" "$golden/trajectories.json"
    "$python" "$golden/inner_optimizers.py" > "$made"
    cp "$made" "$golden/inner_optimizers.json"

# Regenerate the documentation's pictures from four short runs
screenshots: _build
    #!/usr/bin/env bash
    set -euo pipefail
    pictures=crates/lookahead-dashboard/pictures
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    train() {
        local name=$1 config=$2; shift 2
        {{ lookahead }} train "configs/$config.toml" --no-tui --out "$folder" --name "$name" "$@"
        cp "$folder/$name/events.jsonl" "$pictures/runs/$name.jsonl"
    }
    short=(--set data.batch_size=256 --set train.epochs=5 --set checkpoint.every_steps=200)
    train lookahead fashion-mnist "${short[@]}"
    train sgd fashion-mnist "${short[@]}" --set lookahead=false
    train adam fashion-mnist "${short[@]}" --set lookahead=false --set optimizer.kind=adam --set optimizer.lr=0.001
    # The learning rate grows until the loss jumps, and the watchdog rolls back.
    train digits digits --set data.batch_size=64 --set train.epochs=10 --set 'model.hidden=[64,64,64,64]' --set train.seed=4 \
        --set optimizer.lr=0.5 --set schedule.warmup_steps=150 --set watchdog.spike=roll_back --set watchdog.lr_factor=0.3 \
        --set probe.layers=true --set probe.every_syncs=2
    LOOKAHEAD_WRITE_PICTURES=1 cargo test --release --locked --package lookahead-dashboard --test it pictures
    # Its snapshots are of one of these runs.
    INSTA_UPDATE=always cargo test --release --locked --package lookahead-trainer --test program screens
    ls -l "$pictures"/*.svg

# Check formatting, clippy and the documentation, with warnings as errors
lint: _setup
    cargo fmt --all --check
    cargo fmt --manifest-path examples/Cargo.toml --all --check
    cargo fmt --manifest-path examples/candle/Cargo.toml --check
    cargo fmt --manifest-path research/bench/rust/Cargo.toml --check
    cargo clippy {{ tests }} --all-targets -- --deny warnings
    # With the same profile, so that dependencies are checked once for both.
    cargo clippy --release --locked --config .cargo/tests.toml --manifest-path examples/Cargo.toml --target-dir {{ env("CARGO_TARGET_DIR", "target") }} --all-targets -- --deny warnings
    # With the examples, as clippy and the tests have them: without, dependencies have other features and are
    # built once more.
    RUSTDOCFLAGS="-D warnings" cargo doc {{ tests }} --no-deps --lib --examples
    {{ just }} _python3 docs/check.py

# Package each crate as for crates.io, build each (or those named) from its package, and run the README's program in a new project (minutes)
package *NAMES: _setup
    @{{ just }} _python3 packaging/package.py build "$@"

# Build the documentation of each crate, or of those named, as docs.rs does, without libtorch and without a C++ compiler (minutes)
docs-rs *NAMES:
    @{{ just }} _python3 packaging/package.py docs "$@"

# Run the README's program in a new project for which tch downloads libtorch, without set-up (some 10 minutes)
try-download:
    @{{ just }} _python3 packaging/package.py download

# Check licences, sources, duplicate versions and known vulnerabilities of all crates; needs cargo-deny
audit:
    #!/usr/bin/env bash
    set -euo pipefail
    if ! cargo deny --version >/dev/null 2>&1; then
        echo "cargo-deny is missing: cargo install cargo-deny --locked" >&2
        exit 1
    fi
    cargo deny --locked check bans licenses sources
    # Fetches the RustSec database.
    cargo deny --locked check advisories

# Compare the public items of the libraries with those of REVISION, by semantic versioning; needs cargo-semver-checks
semver REVISION: _setup
    #!/usr/bin/env bash
    set -euo pipefail
    if ! cargo semver-checks --version >/dev/null 2>&1; then
        echo "cargo-semver-checks is missing: cargo install cargo-semver-checks --locked" >&2
        exit 1
    fi
    # With all features, `doc-only` among them: nothing is linked.
    cargo semver-checks --workspace --exclude lookahead-bench --exclude lookahead-evidence --baseline-rev "$1"

# Write what the program consists of (CycloneDX), beside each Cargo.toml; needs cargo-cyclonedx
sbom:
    cargo cyclonedx --format json --no-build-deps --manifest-path crates/lookahead-trainer/Cargo.toml

# Build the API documentation and open it in a browser
docs: _setup
    cargo doc --release --locked --workspace --no-deps --open

# The slowest tests of the last `cargo nextest run`
[private]
_slowest:
    #!/usr/bin/env python3
    import xml.etree.ElementTree as xml
    cases = xml.parse({{ quote(env("CARGO_TARGET_DIR", "target") / "nextest/default/junit.xml") }}).iter("testcase")
    print("The slowest tests:")
    for case in sorted(cases, key=lambda case: -float(case.get("time")))[:5]:
        print(f"{float(case.get('time')):8.1f} s  {case.get('classname')} {case.get('name')}")

[no-exit-message]
[private]
_setup:
    @{{ just }} _python3 crates/lookahead-sys/libtorch/setup.py --quiet

[no-exit-message]
[private]
_build: _setup
    @cargo build --release --locked --package lookahead-trainer --bin lookahead

[no-exit-message]
[private]
_python3 *ARGS:
    @command -v python3 >/dev/null || { echo "python3 is missing: sudo apt install python3" >&2; exit 1; }
    @exec python3 "$@"
