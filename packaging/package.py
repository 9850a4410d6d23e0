"""Packages each crate as for crates.io and builds it from its .crate file alone. Run by `just package`.

    package.py build [NAME…]   builds each package, or those named, in a folder of its own, and runs the README's
                               program in a new project
    package.py docs [NAME…]    builds their documentation without libtorch and without a C++ compiler
    package.py download        runs the README's program in a new project for which tch downloads libtorch

Nothing is uploaded. A package finds the others in the folder of unpacked packages, as it would on crates.io. Third-party
crates are built once for all, in cargo's target folder."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
# As tests are built, so that third-party crates are there already.
BUILD = ["--release", "--config", str(ROOT / ".cargo/tests.toml"), "--config", "profile.release.overflow-checks=true"]


def run(command, cwd, **environment):
    started = time.monotonic()
    # None removes a variable.
    merged = {key: value for key, value in {**os.environ, **environment}.items() if value is not None}
    code = subprocess.run(command, cwd=cwd, env=merged).returncode
    if code:
        sys.exit(f"`{' '.join(map(str, command))}` in {cwd} failed.")
    return time.monotonic() - started


def publishable():
    """The packages without `publish = false`, each after those that it depends on."""
    text = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--locked", "--format-version", "1"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    packages = {p["name"]: p for p in json.loads(text)["packages"] if p["publish"] is None}
    ordered = []

    def add(name):
        if name in packages and name not in ordered:
            for dependency in packages[name]["dependencies"]:
                if dependency["kind"] != "dev":
                    add(dependency["name"])
            ordered.append(name)

    for name in packages:
        add(name)
    return [packages[name] for name in ordered]


def check_metadata(package):
    missing = [key for key in ("description", "license", "repository", "readme", "rust_version") if not package[key]]
    missing += [key for key in ("keywords", "categories") if not 1 <= len(package[key]) <= 5]
    if missing:
        sys.exit(f"{package['name']} lacks {', '.join(missing)} in its Cargo.toml.")


def package_all(packages, folder):
    """Packages, unpacks, and tells cargo in `folder` where the packages are."""
    names = [argument for package in packages for argument in ("--package", package["name"])]
    run(["cargo", "package", "--quiet", "--allow-dirty", "--no-verify", "--target-dir", TARGET, *names], ROOT)
    patches = []
    for package in packages:
        check_metadata(package)
        stem = f"{package['name']}-{package['version']}"
        file = TARGET / "package" / f"{stem}.crate"
        with tarfile.open(file) as archive:
            names = archive.getnames()
            archive.extractall(folder)
        (folder / stem).rename(folder / package["name"])
        # The versions of third-party crates that the project is tested with.
        shutil.copy(ROOT / "Cargo.lock", folder / package["name"])
        patches.append(f'{package["name"]} = {{ path = "{folder / package["name"]}" }}\n')
        print(f"{file.name}: {len(names)} files, {file.stat().st_size / 1000:.0f} kB", flush=True)
    (folder / ".cargo").mkdir()
    (folder / ".cargo/config.toml").write_text("[patch.crates-io]\n" + "".join(patches))


def new_project(folder, dependency, build_script):
    """A user's project with the README's program. Returns its folder."""
    project = folder / "stranger"
    (project / "src").mkdir(parents=True)
    manifest = f'[package]\nname = "stranger"\nversion = "0.1.0"\nedition = "2024"\n\n[dependencies]\n{dependency}\n'
    if build_script:
        manifest += '\n[build-dependencies]\nlookahead-build = "0.1"\n'
        (project / "build.rs").write_text("fn main() {\n    lookahead_build::link();\n}\n")
    (project / "Cargo.toml").write_text(manifest)
    code = re.search(r"```rust\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    (project / "src/main.rs").write_text(code)
    shutil.copy(ROOT / "Cargo.lock", project)
    return project


def build(packages, folder):
    for package in packages:
        seconds = run(["cargo", "build", "--quiet", *BUILD, "--target-dir", TARGET], folder / package["name"])
        print(f"{package['name']} builds from its package: {seconds:.0f} s", flush=True)
    project = new_project(folder, 'lookahead-core = "0.1"', build_script=True)
    run(["cargo", "build", "--quiet", *BUILD, "--target-dir", TARGET], project)
    # Not by `cargo run`, which would set LD_LIBRARY_PATH.
    run([TARGET / "release/stranger"], project, LD_LIBRARY_PATH=None)
    (TARGET / "release/stranger").unlink()
    print("The README's program runs in a new project.", flush=True)


def documentation(packages, folder):
    tools = folder / "bin"
    tools.mkdir()
    # Everything on PATH but C++ compilers.
    for directory in reversed(os.environ["PATH"].split(os.pathsep)):
        for tool in pathlib.Path(directory).glob("*"):
            if not re.search(r"(c\+\+|g\+\+)(-[0-9]+)?$", tool.name):
                (tools / tool.name).unlink(missing_ok=True)
                (tools / tool.name).symlink_to(tool)
    host = re.search(r"^host: (.*)$", subprocess.check_output(["rustc", "-vV"], text=True), re.MULTILINE)[1]
    # cxx and its link-cplusplus always compile C++, which documentation does not need. docs.rs has a compiler.
    without_cxx = [
        *("--config", f'target.{host}.cxxbridge1.rustc-cfg=["built_with_cargo"]'),
        *("--config", f"target.{host}.cplusplus.rustc-cfg=[]"),
    ]
    for package in packages:
        metadata = (package["metadata"] or {}).get("docs", {}).get("rs", {})
        features = ["--features", ",".join(metadata["features"])] if "features" in metadata else []
        seconds = run(
            ["cargo", "doc", "--quiet", "--lib", "--no-deps", *features, *without_cxx, "--target-dir", TARGET / "docs-rs"],
            folder / package["name"],
            DOCS_RS="1",
            RUSTDOCFLAGS="-D warnings",
            PATH=str(tools),
            LIBTORCH=None,
            LIBTORCH_USE_PYTORCH=None,
            CXX=None,
        )
        print(f"{package['name']} has documentation without libtorch: {seconds:.0f} s", flush=True)


def download(folder):
    dependency = 'lookahead-core = { version = "0.1", features = ["download-libtorch"] }'
    project = new_project(folder, dependency, build_script=False)
    run(["cargo", "run", "--release", "--target-dir", TARGET / "download"], project, LIBTORCH=None, LIBTORCH_USE_PYTORCH=None)
    print("The README's program runs on the libtorch that tch downloaded.", flush=True)


def main():
    what, *names = sys.argv[1:] or ["build"]
    if what not in ("build", "docs", "download"):
        sys.exit(__doc__)
    os.environ.setdefault("LIBTORCH", str(ROOT / ".libtorch"))
    packages = publishable()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        package_all(packages, folder)
        selected = [package for package in packages if not names or package["name"] in names]
        if what == "build":
            build(selected, folder)
        elif what == "docs":
            documentation(selected, folder)
        else:
            download(folder)


if __name__ == "__main__":
    main()
