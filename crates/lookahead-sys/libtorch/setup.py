#!/usr/bin/env python3
"""Gets libtorch, so that a fresh clone builds without other set-up.

    python3 crates/lookahead-sys/libtorch/setup.py            what `just setup` runs
    python3 crates/lookahead-sys/libtorch/setup.py --quiet    print nothing if there is nothing to do
    python3 crates/lookahead-sys/libtorch/setup.py --check    report what is installed and what is missing
    python3 crates/lookahead-sys/libtorch/setup.py --fetch cuda    get that variant (or cpu) into the cache and
                                                              print its folder; leave the clone's link unchanged

pip downloads the pinned wheels in requirements-*.txt, which have their SHA-256. The script unpacks the
libraries and headers in them, without the Python code. On a machine without an NVIDIA GPU it also omits the
CUDA libraries: that is the variant `cpu`, 0.5 GB instead of `cuda`'s 4.

Result:

    ~/.cache/lookahead/libtorch-2.13.0-cpu/     (or -cuda; XDG_CACHE_HOME moves it) shared by all clones
    .libtorch -> ~/.cache/.../torch             in the clone; .cargo/config.toml points LIBTORCH to it

A complete folder gets its final name by one rename, and contains a stamp with the size of each library. Later
runs only compare the stamp and the link.

Environment variables: LIBTORCH or LIBTORCH_USE_PYTORCH selects your own libtorch and takes precedence;
LOOKAHEAD_LIBTORCH=cpu|cuda overrides the variant for this machine. See README.md beside this file.

Python 3.8 or newer, and its standard library only.
"""

import collections
import contextlib
import os
import shutil
import sys

VERSION = "2.13.0"
ARCHITECTURES = ("x86_64", "aarch64")
GLIBC = (2, 28)  # what the wheels are built for: manylinux_2_28

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
LINK = os.path.join(ROOT, ".libtorch")

# Incremented when the stamp or the set of unpacked files changes.
FORMAT = 2
STAMP = "lookahead-setup.json"

# The parts of the wheels that C++ needs; the *.dist-info folders have the licences.
KEPT = ("torch/include/", "torch/lib/", "torch/share/", "torch/version.py", "nvidia/")
# Not in the variant `cpu`: torch-sys would link libtorch_cuda.so if it were there. It needs libtorch.so.
CUDA_LIBRARIES = ("libtorch_cuda", "libc10_cuda", "libtorch_nvshmem", "libcaffe2_nvrtc", "libtorch_python")
# A folder without one of these is not a libtorch.
VITAL = ("torch/lib/libtorch.so", "torch/lib/libtorch_cpu.so", "torch/lib/libc10.so", "torch/include/torch/script.h")

Pin = collections.namedtuple("Pin", "name version wheel size sha256")


class SetupError(Exception):
    """What is wrong and how to fix it, in a sentence for the user."""


def report(text):
    # Not to stdout, which is for a recipe's own output.
    print("setup: " + text, file=sys.stderr, flush=True)


# ---- The user's own libtorch ------------------------------------------------------------------------------


def users_own():
    """A sentence about the libtorch that the user chose, or None. In the order of torch-sys."""
    chosen = os.environ.get("LIBTORCH")
    own = chosen is not None and not is_our_link(chosen)
    if "LIBTORCH_USE_PYTORCH" in os.environ:
        version, place = python_torch()
        require_version(version, "LIBTORCH_USE_PYTORCH is set, and the torch of %s" % place)
        wins = "LIBTORCH_USE_PYTORCH is set and wins over LIBTORCH" if own else "LIBTORCH_USE_PYTORCH is set"
        return "%s: the torch %s of %s is used" % (wins, version, place)
    if not own:
        return None
    if not os.path.isabs(chosen):
        raise SetupError(
            "LIBTORCH is %r, which is not an absolute path, and cargo reads it from another folder. "
            "Set it to the absolute path, or unset it to get libtorch from here." % chosen
        )
    folder = os.environ.get("LIBTORCH_LIB", chosen)
    if not any(os.path.exists(os.path.join(folder, "lib", name)) for name in LIBRARY_NAMES):
        raise SetupError(
            "LIBTORCH is %s, but there is no lib/%s in %s. "
            "Set it to the folder of a libtorch %s, or unset it to get one from here."
            % (chosen, LIBRARY_NAMES[0], folder, VERSION)
        )
    version = version_of(chosen)
    if version:
        require_version(version, "LIBTORCH is %s, which" % chosen)
    return "LIBTORCH is set: %s is used (%s)" % (chosen, version or "its version is not written there")


def is_our_link(path):
    """Under cargo, .cargo/config.toml sets LIBTORCH to the link that this script made."""
    folder, name = os.path.split(path)
    return name == os.path.basename(LINK) and os.path.isdir(folder) and os.path.samefile(folder, ROOT)


LIBRARY_NAMES = ("libtorch.so", "libtorch.a", "libtorch.dylib", "torch.dll", "torch.lib")


def version_of(folder):
    """The version of a libtorch folder, from different files in the zip and in the wheel."""
    with contextlib.suppress(OSError), open(os.path.join(folder, "build-version")) as file:
        return file.read().strip()
    with contextlib.suppress(OSError), open(os.path.join(folder, "version.py")) as file:
        for line in file:
            if line.startswith("__version__ ="):
                return line.split("=", 1)[1].strip().strip("'\"")
    return None


def python_torch():
    """Version and location of torch in the Python that torch-sys uses. Does not import it, which takes seconds."""
    import subprocess

    python = "python" if "VIRTUAL_ENV" in os.environ else "python3"
    code = "import importlib.util as u; s = u.find_spec('torch'); print(s.origin if s else '')"
    try:
        answer = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, universal_newlines=True, check=True)
        origin = answer.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        raise SetupError("LIBTORCH_USE_PYTORCH is set, but `%s` does not run. Fix that, or unset it." % python)
    if not origin:
        raise SetupError(
            "LIBTORCH_USE_PYTORCH is set, but %s (%s) has no torch. Install torch %s there, or unset it to get "
            "libtorch from here." % (python, shutil.which(python), VERSION)
        )
    return version_of(os.path.dirname(origin)) or "of unknown version", "%s (%s)" % (python, shutil.which(python))


def require_version(version, what):
    if version.split("+")[0] != VERSION and "LIBTORCH_BYPASS_VERSION_CHECK" not in os.environ:
        raise SetupError(
            "%s is %s; it must be %s. Change that, or unset the variable to get libtorch from here."
            % (what, version, VERSION)
        )


# ---- The machine ------------------------------------------------------------------------------------------


def architecture():
    """The architecture's name in wheels. An error if none would run."""
    system, arch = os.uname().sysname if hasattr(os, "uname") else sys.platform, None
    if system == "Linux":
        arch = {"arm64": "aarch64", "amd64": "x86_64"}.get(os.uname().machine, os.uname().machine)
        with contextlib.suppress(ValueError, OSError, IndexError):
            name, version = os.confstr("CS_GNU_LIBC_VERSION").split()
            if arch in ARCHITECTURES and tuple(map(int, version.split(".")[:2])) >= GLIBC:
                return arch
            arch += " with %s %s" % (name, version)
    raise SetupError(
        "there is no libtorch to fetch for %s: only for Linux on %s with glibc %s or newer. "
        "Set LIBTORCH to the folder of a libtorch %s of your own."
        % (" ".join(filter(None, (system, arch))), " and ".join(ARCHITECTURES), "%d.%d" % GLIBC, VERSION)
    )


def variant():
    """`cuda` if there is an NVIDIA GPU, else `cpu`, unless the user chooses."""
    chosen = os.environ.get("LOOKAHEAD_LIBTORCH")
    if chosen is None:
        return "cuda" if nvidia_gpu() else "cpu"
    if chosen not in ("cpu", "cuda"):
        raise SetupError("LOOKAHEAD_LIBTORCH is %r; it must be cpu or cuda, or unset." % chosen)
    return chosen


def nvidia_gpu():
    if os.path.exists("/dev/nvidia0") or os.path.exists("/proc/driver/nvidia/version"):
        return True
    # Last, because it is slow; needed under Windows (WSL), which has no such files.
    if not shutil.which("nvidia-smi"):
        return False
    import subprocess

    with contextlib.suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30)
        return answer.returncode == 0 and b"GPU" in answer.stdout
    return False


def compiler():
    """The C++ compiler that cargo's build scripts will call."""
    chosen = os.environ.get("CXX")
    if chosen:
        if not shutil.which(chosen.split()[0]):
            raise SetupError("CXX is %r, and there is no such C++ compiler. Set it to a C++ compiler, or unset it." % chosen)
        return chosen
    if shutil.which("c++"):
        return shutil.which("c++")
    for other in ("g++", "clang++"):
        if shutil.which(other):
            raise SetupError("the C++ compiler is called %s here, not c++. Run `export CXX=%s`." % (other, other))
    raise SetupError("there is no C++ compiler. Install one: `sudo apt install g++` (Fedora: `sudo dnf install gcc-c++`).")


# ---- What is installed ------------------------------------------------------------------------------------


def cache():
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says to ignore a relative path.
    return os.path.join(base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "lookahead")


def folder_of(chosen):
    return os.path.join(cache(), "libtorch-%s-%s" % (VERSION, chosen))


def fault(folder, chosen):
    """The fault of an unpacked folder, or None. Fast: it only checks file sizes."""
    import json

    try:
        with open(os.path.join(folder, STAMP)) as file:
            stamp = json.load(file)
        if (stamp["format"], stamp["version"], stamp["variant"]) != (FORMAT, VERSION, chosen):
            return "it was made by another version of this script"
        for name, size in stamp["files"].items():
            path = os.path.join(folder, name)
            if not os.path.isfile(path):
                return "%s is missing" % name
            if os.path.getsize(path) != size:
                return "%s has %d bytes instead of %d" % (name, os.path.getsize(path), size)
    except FileNotFoundError:
        return "it is not there" if not os.path.isdir(folder) else "it has no stamp (%s)" % STAMP
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        return "its stamp can't be read (%s)" % error
    return None


def write_stamp(folder, chosen):
    import json

    files = set(VITAL)
    for place, _, names in os.walk(folder):
        relative = os.path.relpath(place, folder)
        files.update(os.path.join(relative, name) for name in names if ".so" in name)
    sizes = {name: os.path.getsize(os.path.join(folder, name)) for name in sorted(files)}
    stamp = {"format": FORMAT, "version": VERSION, "variant": chosen, "files": sizes}
    with open(os.path.join(folder, STAMP), "w") as file:
        json.dump(stamp, file, indent=1)
        file.write("\n")


def link_target():
    """The target of the link; None if there is none."""
    if os.path.islink(LINK):
        return os.readlink(LINK)
    if os.path.lexists(LINK):
        raise SetupError("%s is in the way: it should be a link to libtorch. Move it elsewhere." % LINK)
    return None


def put_link(target):
    old = link_target()
    if old == target:
        return
    new = "%s.%d" % (LINK, os.getpid())
    os.symlink(target, new)
    os.replace(new, LINK)
    if old and os.path.isdir(os.path.join(ROOT, "target")):
        # cargo watches the name of the link, not what it points to.
        report(
            ".libtorch pointed to %s before. To build against the new one: "
            "`cargo clean --release -p torch-sys -p lookahead-sys`." % old
        )


# ---- Getting it -------------------------------------------------------------------------------------------


def requirements_file(chosen, arch):
    return "requirements-%s-%s.txt" % (chosen, arch)


def read_pins(chosen, arch):
    """The pinned wheels. Each takes two lines: a comment with its file name and size, and the requirement."""
    pins, wheel = [], None
    with open(os.path.join(HERE, requirements_file(chosen, arch))) as file:
        for line in file:
            words = line.split()
            if words[:2] == ["#", "wheel:"]:
                wheel = words[2:]
            elif words and words[0] != "#":
                name, version = words[0].split("==")
                pins.append(Pin(name, version, wheel[0], int(wheel[1]), words[1].split(":")[1]))
    return pins


def install(chosen, arch, folder):
    """Installs libtorch in `folder`, or raises and leaves nothing there. Concurrent runs wait for each other."""
    os.makedirs(cache(), exist_ok=True)
    with lock(folder + ".lock") as held:
        found = fault(folder, chosen)
        if not found:  # by another process, while this one waited for the lock
            return
        if os.path.isdir(folder):
            report("%s is damaged: %s. Rebuilding it." % (folder, found))
        partial, old, downloads = folder + ".partial", folder + ".old", folder + ".downloads"
        remove(partial, old)  # what an interrupted run left behind
        try:
            pins = read_pins(chosen, arch)
            check_space(pins)
            wheels = get_wheels(pins, downloads, partial, held)
            tree = os.path.join(partial, "tree")
            os.makedirs(tree)
            report("unpacking %d wheels into %s" % (len(wheels), folder))
            for wheel in wheels:
                unpack(wheel, tree, chosen)
            for name in VITAL:
                if not os.path.exists(os.path.join(tree, name)):
                    raise SetupError("%s is not in the wheels: the pins in %s are wrong." % (name, HERE))
            write_stamp(tree, chosen)
            if os.path.isdir(folder):
                os.rename(folder, old)
            os.rename(tree, folder)
        finally:
            remove(partial, old)
        remove(downloads)  # only now: after a failure, the next run reuses the wheels


@contextlib.contextmanager
def lock(path):
    import fcntl

    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another set-up is running; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def remove(*folders):
    for folder in folders:
        if os.path.isdir(folder):
            shutil.rmtree(folder)


def check_space(pins):
    # The wheels, the unpacked files (up to 1.7 times as much), and pip's copy of a wheel while it downloads.
    needed = 3 * sum(pin.size for pin in pins)
    free = shutil.disk_usage(cache()).free
    if free < needed:
        raise SetupError(
            "%s has %.1f GB free, and libtorch needs %.1f GB while it is set up. Make room there, or set "
            "XDG_CACHE_HOME to a folder on another disk." % (cache(), free / 1e9, needed / 1e9)
        )


def get_wheels(pins, downloads, partial, held):
    """A path for every pin: a wheel that the user put into the cache, or one downloaded earlier or now."""
    given = os.path.join(cache(), "wheels")
    wheels = {pin: find_wheel(pin, (given, downloads)) for pin in pins}
    missing = [pin for pin in pins if not wheels[pin]]
    if missing:
        size = sum(pin.size for pin in missing) / 1e9
        report("downloading %.2f GB, once for all clones: libtorch %s" % (size, VERSION))
        pip = working_pip(os.path.join(partial, "venv"))
        for pin in missing:
            if not download(pip, pin, downloads, os.path.join(partial, "tmp"), held):
                raise SetupError(not_downloaded(missing[missing.index(pin) :], given))
            wheels[pin] = os.path.join(downloads, pin.wheel)
    return list(wheels.values())


def find_wheel(pin, folders):
    for path in (os.path.join(folder, pin.wheel) for folder in folders):
        if os.path.exists(path):
            if os.path.getsize(path) == pin.size and sha256(path) == pin.sha256:
                return path
            report("%s is damaged (its size or its SHA-256 is wrong), and is not used" % path)
    return None


def sha256(path):
    import hashlib

    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def working_pip(venv):
    """The command of a pip that works: this Python's, one on the PATH, or one in a new virtual environment."""
    import subprocess

    def works(*command):
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            return subprocess.run(command, **quiet).returncode == 0
        except OSError:
            return False

    inside = [os.path.join(venv, "bin", "python"), "-m", "pip"]
    for command in ([sys.executable, "-m", "pip"], ["pip3"], inside):
        # Debian's Python may come without pip, and its venv without ensurepip.
        if command is inside and not works(sys.executable, "-m", "venv", venv):
            continue
        if works(*(command + ["--version"])):
            return command
    raise SetupError(
        "there is no pip: neither `%s -m pip` nor `pip3` works, and `%s -m venv` can't make one. "
        "Install it: `sudo apt install python3-pip` (Fedora: `sudo dnf install python3-pip`)."
        % (sys.executable, sys.executable)
    )


def pip_download(pin):
    """pip's arguments for the wheel of a pin, independent of the Python that runs pip."""
    arguments = ["download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    arguments += ["--implementation", "cp", "--python-version", "3.12"]
    return arguments + ["--platform", pin.wheel[: -len(".whl")].split("-")[-1].split(".")[0]]


def download(pip, pin, downloads, temporary, held):
    """Whether pip downloaded the wheel to `downloads`. Its progress and errors go to stderr."""
    import signal
    import subprocess

    remove(temporary)
    os.makedirs(temporary)
    os.makedirs(downloads, exist_ok=True)
    requirement = os.path.join(temporary, "requirement.txt")
    with open(requirement, "w") as file:
        file.write("%s==%s --hash=sha256:%s\n" % (pin.name, pin.version, pin.sha256))
    # On the cache's disk, whose free space was checked: /tmp may be small. Overrides two settings of the user.
    environment = dict(os.environ, TMPDIR=temporary, PIP_REQUIRE_VIRTUALENV="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
    environment.pop("PIP_CONSTRAINT", None)
    # pip's own cache would store the wheel again, and older versions load it into memory for that.
    command = pip + pip_download(pin) + ["--no-cache-dir", "--dest", temporary, "--requirement", requirement]
    # pip holds the lock too, so that after a kill of this process the next one waits for pip to end.
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment, pass_fds=(held.fileno(),)
    )
    try:
        status = process.wait()
    except BaseException as reason:
        if not isinstance(reason, KeyboardInterrupt):  # Ctrl-C reaches pip too
            process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)  # pip shows the cursor again
        finally:
            process.kill()
        raise
    if status == 0:
        os.rename(os.path.join(temporary, pin.wheel), os.path.join(downloads, pin.wheel))
    return status == 0


def not_downloaded(missing, given):
    lines = ["pip could not download %s %s; its own message is above." % (missing[0].name, missing[0].version)]
    lines.append("  Without a network: fetch the following elsewhere, put it into %s, and run this again." % given)
    for pin in missing:
        lines.append("    %s  %d bytes  sha256:%s" % (pin.wheel, pin.size, pin.sha256))
    lines.append("  %s explains how to fetch them." % os.path.join(HERE, "README.md"))
    return "\n".join(lines)


def unpack(wheel, folder, chosen):
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            name = member.filename
            if not name.startswith(KEPT) and ".dist-info/" not in name:
                continue
            if chosen == "cpu" and name.startswith("torch/lib/") and os.path.basename(name).startswith(CUDA_LIBRARIES):
                continue
            path = archive.extract(member, folder)
            mode = (member.external_attr >> 16) & 0o777
            if mode:
                os.chmod(path, mode | 0o600)


# ---- The commands -----------------------------------------------------------------------------------------


def set_up(quiet):
    own = users_own()
    if own:
        report(own)
        compiler()
        return
    chosen, arch = variant(), architecture()
    compiler()
    folder = folder_of(chosen)
    link_target()  # fails early if something is in the way
    if fault(folder, chosen):
        install(chosen, arch, folder)
    put_link(os.path.join(folder, "torch"))
    if not quiet:
        report("libtorch %s (%s) is in %s, and .libtorch points to it" % (VERSION, chosen, folder))


def fetch(chosen):
    """Ensures that a variant is complete in the cache, and prints its folder, a value for LIBTORCH.

    Ignores the machine and the user's variables, and leaves the clone's own libtorch unchanged.
    """
    arch, folder = architecture(), folder_of(chosen)
    if fault(folder, chosen):
        install(chosen, arch, folder)
    print(os.path.join(folder, "torch"))


def check():
    """Prints one line per requirement. True if nothing is missing."""
    faults = 0

    def line(title, found):
        nonlocal faults
        try:
            print("ok       %-13s %s" % (title, found()))
        except SetupError as error:
            faults += 1
            print("missing  %-13s %s" % (title, error))

    def rust():
        if not shutil.which("cargo"):
            raise SetupError("there is no cargo. Install Rust with rustup, or your system's package of it.")
        return shutil.which("cargo")

    def usable():
        own = users_own()
        if own:
            return own
        chosen, arch = variant(), architecture()
        found = fault(folder_of(chosen), chosen)
        if found:
            size = sum(pin.size for pin in read_pins(chosen, arch)) / 1e9
            raise SetupError(
                "%s: %s. Run `just setup`, which downloads %.2f GB." % (folder_of(chosen), found, size)
            )
        if link_target() != os.path.join(folder_of(chosen), "torch"):
            raise SetupError("the link .libtorch does not point to %s. Run `just setup`." % folder_of(chosen))
        return "%s (%s) in %s" % (VERSION, chosen, folder_of(chosen))

    line("Rust", rust)
    line("C++ compiler", compiler)
    line("libtorch", usable)
    return faults == 0


def main():
    if sys.version_info < (3, 8):
        raise SetupError("this is Python %d.%d; 3.8 or newer is needed." % sys.version_info[:2])
    import argparse
    import signal

    parser = argparse.ArgumentParser(description="Gets libtorch %s and leaves a link .libtorch to it." % VERSION)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="report what is installed and what is missing; change nothing")
    mode.add_argument("--quiet", action="store_true", help="print nothing if there is nothing to do")
    mode.add_argument(
        "--fetch", choices=("cpu", "cuda"), help="get this variant, print its folder, and leave the link unchanged"
    )
    arguments = parser.parse_args()
    if arguments.check:
        return 0 if check() else 1
    # SIGTERM cleans up like Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if arguments.fetch:
        fetch(arguments.fetch)
    else:
        set_up(arguments.quiet)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        report("error: %s" % error)
    except OSError as error:
        report("error: %s. Fix that, or set XDG_CACHE_HOME to a folder where files can be written." % error)
    except KeyboardInterrupt:
        report("interrupted; run it again to continue")
        sys.exit(130)
    sys.exit(1)
