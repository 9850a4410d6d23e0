"""Tests of setup.py: each runs a copy of the script as its own process, in a temporary clone with a temporary
cache. The tests make tiny wheels, pinned like the real ones, so they need no network. Then tests of
check_cuda.py, with a fake `cargo` and `readelf`, and of what the justfile's recipes install.

    python3 -B -m unittest discover --start-directory crates/lookahead-sys/libtorch      (part of `just test`)
"""

import hashlib
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
MACHINE = os.uname().machine
TORCH = "torch-2.13.0-cp312-cp312-manylinux_2_28_%s.whl" % MACHINE
RUNTIME = "nvidia_cuda_runtime-13.0.96-py3-none-manylinux_2_17_%s.whl" % MACHINE
WHEELS = {
    TORCH: {
        "torch/lib/libtorch.so": "libtorch",
        "torch/lib/libtorch_cpu.so": "all the kernels",
        "torch/lib/libc10.so": "c10",
        "torch/lib/libtorch_cuda.so": "CUDA kernels",
        "torch/lib/libtorch_cuda_linalg.so": "CUDA linear algebra",
        "torch/lib/libc10_cuda.so": "c10 for CUDA",
        "torch/lib/libtorch_python.so": "Python bindings",
        "torch/include/torch/script.h": "#pragma once",
        "torch/version.py": "__version__ = '2.13.0+cu130'\n",
        "torch/nn/__init__.py": "import torch",
        "torch-2.13.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n",
        "torch-2.13.0.dist-info/WHEEL": "Wheel-Version: 1.0\n",
        "torch-2.13.0.dist-info/RECORD": "",
    },
    RUNTIME: {
        "nvidia/cu13/lib/libcudart.so.13": "the CUDA runtime",
        "nvidia_cuda_runtime-13.0.96.dist-info/METADATA": "Metadata-Version: 2.1\nName: nvidia-cuda-runtime\nVersion: 13.0.96\n",
        "nvidia_cuda_runtime-13.0.96.dist-info/WHEEL": "Wheel-Version: 1.0\n",
        "nvidia_cuda_runtime-13.0.96.dist-info/RECORD": "",
    },
}


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


def read(path):
    with open(path) as file:
        return file.read()


@unittest.skipUnless(sys.platform == "linux" and MACHINE in ("x86_64", "aarch64"), "setup.py refuses this platform")
class SetupTest(unittest.TestCase):
    def setUp(self):
        # A space in every path.
        self.home = tempfile.mkdtemp(prefix="lookahead setup ")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.clone = os.path.join(self.home, "clone")
        self.scripts = os.path.join(self.clone, "crates", "lookahead-sys", "libtorch")
        self.link = os.path.join(self.clone, ".libtorch")
        self.cache = os.path.join(self.home, "cache", "lookahead")
        self.given = os.path.join(self.cache, "wheels")
        self.cpu = os.path.join(self.cache, "libtorch-2.13.0-cpu")
        os.makedirs(self.scripts)
        shutil.copy(os.path.join(HERE, "setup.py"), self.scripts)
        self.make_wheels(os.path.join(self.home, "wheels"))
        # A PATH with only the tools of the test.
        self.bin = os.path.join(self.home, "bin")
        self.tool("c++", "exit 0")
        self.tool("python3", 'exec "%s" "$@"' % sys.executable)
        self.environment = {
            "PATH": self.bin,
            "HOME": self.home,
            "XDG_CACHE_HOME": os.path.dirname(self.cache),
            "LOOKAHEAD_LIBTORCH": "cpu",
            # No network, whatever the machine's settings.
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": os.devnull,
        }

    def tool(self, name, script):
        write(os.path.join(self.bin, name), "#!/bin/sh\n%s\n" % script, 0o755)

    def make_wheels(self, folder):
        """Makes the wheels, and the requirements files that pin them."""
        os.makedirs(folder)
        self.wheels, lines = folder, []
        for name, members in WHEELS.items():
            path = os.path.join(folder, name)
            with zipfile.ZipFile(path, "w") as archive:
                for member, text in members.items():
                    archive.writestr(member, text)
            with open(path, "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            project, version = name.split("-")[:2]
            lines.append("# wheel: %s %d" % (name, os.path.getsize(path)))
            lines.append("%s==%s --hash=sha256:%s" % (project.replace("_", "-"), version, digest))
        self.pin("\n".join(lines) + "\n")

    def pin(self, text):
        for variant in ("cpu", "cuda"):
            write(os.path.join(self.scripts, "requirements-%s-%s.txt" % (variant, MACHINE)), text)

    def give_wheels(self):
        """Puts the wheels where a user without a network puts them."""
        shutil.copytree(self.wheels, self.given)

    def start(self, *arguments, **environment):
        command = [sys.executable, os.path.join(self.scripts, "setup.py")] + list(arguments)
        settings = {k: v for k, v in dict(self.environment, **environment).items() if v is not None}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=settings, cwd=self.home, universal_newlines=True, **pipes)

    def run_setup(self, *arguments, status=0, **environment):
        """Runs the script. Returns its output: stdout with --check, otherwise stderr (and stdout must be empty).

        With --fetch stdout is the folder, if there is one.
        """
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, status, out + err)
        self.assertNotIn("Traceback", err)
        if "--check" in arguments:
            return out
        folder = None if status or "--fetch" not in arguments else self.fetched(arguments[-1])
        self.assertEqual(out, folder + "\n" if folder else "")
        return err

    def fetched(self, variant):
        return os.path.join(self.cache, "libtorch-2.13.0-" + variant, "torch")

    def assert_installed(self):
        self.assertEqual(os.readlink(self.link), os.path.join(self.cpu, "torch"))
        self.assertEqual(read(os.path.join(self.link, "lib", "libtorch_cpu.so")), "all the kernels")
        self.assertTrue(os.path.isfile(os.path.join(self.cpu, "nvidia", "cu13", "lib", "libcudart.so.13")))
        left = {name for name in os.listdir(self.cache) if name.startswith("libtorch")}
        self.assertEqual(left, {"libtorch-2.13.0-cpu", "libtorch-2.13.0-cpu.lock"})

    def assert_nothing_looks_done(self):
        self.assertFalse(os.path.lexists(self.link))
        self.assertFalse(os.path.lexists(self.cpu))
        self.assertFalse(os.path.lexists(self.cpu + ".partial"))

    # ---- Getting it

    def test_given_wheels_are_used_without_pip(self):
        self.give_wheels()
        self.without_pip()
        self.run_setup()
        self.assert_installed()
        self.assertEqual(sorted(os.listdir(self.given)), sorted(WHEELS), "the user's files are left alone")

    def test_pip_downloads_pinned_wheels(self):
        self.need_pip()
        output = self.run_setup(PIP_FIND_LINKS=pathlib.Path(self.wheels).as_uri())
        self.assert_installed()
        self.assertIn("downloading", output)

    def test_pip3_of_the_path_is_tried_too(self):
        self.without_pip()
        # A pip that "downloads" by copying. Its --dest is the argument after that word.
        self.tool(
            "pip3",
            'while [ $# -gt 0 ]; do [ "$1" = --dest ] && exec /bin/cp "%s"/* "$2"/; shift; done' % self.wheels,
        )
        self.run_setup()
        self.assert_installed()

    def test_a_wheel_with_another_hash_is_refused(self):
        self.need_pip()
        other = os.path.join(self.home, "other")
        shutil.copytree(self.wheels, other)
        with zipfile.ZipFile(os.path.join(other, TORCH), "a") as archive:
            archive.writestr("torch/lib/libevil.so", "")
        output = self.run_setup(status=1, PIP_FIND_LINKS=pathlib.Path(other).as_uri())
        self.assertIn("DO NOT MATCH THE HASHES", output)
        self.assert_nothing_looks_done()

    def test_cpu_variant_has_no_cuda_and_no_python(self):
        self.give_wheels()
        self.run_setup()
        libraries = sorted(os.listdir(os.path.join(self.link, "lib")))
        self.assertEqual(libraries, ["libc10.so", "libtorch.so", "libtorch_cpu.so"])
        self.assertFalse(os.path.exists(os.path.join(self.link, "nn")))

    def test_cuda_variant_has_every_library(self):
        self.give_wheels()
        self.run_setup(LOOKAHEAD_LIBTORCH="cuda")
        self.assertEqual(os.readlink(self.link), os.path.join(self.cache, "libtorch-2.13.0-cuda", "torch"))
        self.assertIn("libtorch_cuda.so", os.listdir(os.path.join(self.link, "lib")))

    def test_two_at_a_time(self):
        self.give_wheels()
        both = [self.start(), self.start()]
        output = [process.communicate(timeout=60)[1] for process in both]
        self.assertEqual([process.returncode for process in both], [0, 0], output)
        self.assertEqual(sum("unpacking" in text for text in output), 1, output)
        self.assert_installed()

    def test_interrupted_and_leftovers(self):
        self.without_pip()
        started = os.path.join(self.home, "started")
        self.tool("pip3", '[ "$1" = --version ] && exit 0\n: > "%s"\nexec /bin/sleep 60' % started)
        for how, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
            process = self.start()
            deadline = time.monotonic() + 30
            while not os.path.exists(started) and time.monotonic() < deadline:
                time.sleep(0.02)
            os.remove(started)
            if how == signal.SIGKILL:
                # pip outlives it, and keeps the lock until it ends.
                find = "import fcntl,sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
                process.kill()
                process.wait()
                held = subprocess.run([sys.executable, "-c", find, self.cpu + ".lock"], stderr=subprocess.DEVNULL)
                self.assertNotEqual(held.returncode, 0)
                self.stop_sleeping_pip()
            else:
                # Ctrl-C would reach pip too.
                process.send_signal(how)
                if how == signal.SIGINT:
                    self.stop_sleeping_pip()
            err = process.communicate(timeout=30)[1]
            self.assertEqual(process.returncode, status, err)
            self.assertNotIn("Traceback", err)
            if how != signal.SIGKILL:
                self.assert_nothing_looks_done()
        self.assertTrue(os.path.isdir(self.cpu + ".partial"), "SIGKILL leaves something for the next run to clear")
        write(os.path.join(self.cpu + ".partial", "tree", "torch", "lib", "libhalf.so"), "")
        self.give_wheels()
        self.run_setup()
        self.assert_installed()
        self.assertNotIn("libhalf.so", os.listdir(os.path.join(self.link, "lib")))

    def stop_sleeping_pip(self):
        """Ends the `sleep` that replaces pip, found by its folder for temporary files, which is ours."""
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/environ" % name, "rb") as file:
                    environ = file.read()
                if b"TMPDIR=" + os.fsencode(self.cpu) in environ:
                    os.kill(int(name), signal.SIGKILL)
            except OSError:
                continue

    # ---- When it is already installed

    def test_done_is_instant_and_silent(self):
        self.give_wheels()
        self.run_setup()
        shutil.rmtree(self.given)
        before = self.identity()
        times = []
        for _ in range(5):
            # Processor time, because other tests may keep the machine busy.
            started = self.processor_time()
            self.assertEqual(self.run_setup("--quiet"), "")
            times.append(self.processor_time() - started)
        self.assertEqual(self.identity(), before)
        self.assertLess(min(times), 0.3, "0.05 s is usual")

    def identity(self):
        """Changes with the folder or the link; reading them moves only the access time."""
        found = os.stat(self.cpu), os.lstat(self.link)
        return [(s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in found]

    @staticmethod
    def processor_time():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def test_a_second_clone_shares_the_folder(self):
        self.give_wheels()
        self.run_setup()
        shutil.rmtree(self.given)
        os.remove(self.link)
        self.run_setup()
        self.assert_installed()

    def test_damage_is_noticed_and_repaired(self):
        self.give_wheels()
        self.run_setup()
        library = os.path.join(self.cpu, "torch", "lib", "libtorch_cpu.so")
        stamp = os.path.join(self.cpu, "lookahead-setup.json")
        older = json.dumps(dict(json.loads(read(stamp)), format=0))
        for damage, name in (
            (lambda: write(library, "all the"), "libtorch_cpu.so has 7 bytes instead of 15"),
            (lambda: os.remove(library), "libtorch_cpu.so is missing"),
            (lambda: os.remove(stamp), "no stamp"),
            (lambda: write(stamp, "{"), "stamp can't be read"),
            (lambda: write(stamp, "[]"), "stamp can't be read"),
            (lambda: write(stamp, older), "another version of this script"),
        ):
            damage()
            self.assertIn(name, self.run_setup("--check", status=1))
            self.assertIn(name, self.run_setup())
            self.assert_installed()

    def test_link_elsewhere_is_replaced(self):
        self.give_wheels()
        for target in (self.home, os.path.join(self.home, "gone")):
            if os.path.lexists(self.link):
                os.remove(self.link)
            os.symlink(target, self.link)
            self.run_setup()
            self.assert_installed()
        self.assertTrue(os.path.isdir(self.home), "only the link is replaced")

    def test_what_is_not_a_link_is_kept(self):
        self.give_wheels()
        self.run_setup()
        os.remove(self.link)
        write(os.path.join(self.link, "mine"), "precious")
        self.assertIn("is in the way", self.run_setup(status=1))
        self.assertIn("is in the way", self.run_setup("--check", status=1))
        self.assertEqual(read(os.path.join(self.link, "mine")), "precious")

    # ---- Which variant

    def test_variant_by_gpu(self):
        if os.path.exists("/dev/nvidia0") or os.path.exists("/proc/driver/nvidia/version"):
            self.skipTest("this machine has an NVIDIA GPU")
        output = self.run_setup("--check", status=1, LOOKAHEAD_LIBTORCH=None)
        self.assertIn("libtorch-2.13.0-cpu", output)
        self.tool("nvidia-smi", "echo GPU 0: a fast one")
        output = self.run_setup("--check", status=1, LOOKAHEAD_LIBTORCH=None)
        self.assertIn("libtorch-2.13.0-cuda", output)
        self.tool("nvidia-smi", "exit 9")
        output = self.run_setup("--check", status=1, LOOKAHEAD_LIBTORCH=None)
        self.assertIn("libtorch-2.13.0-cpu", output)

    def test_unknown_variant(self):
        for value in ("gpu", ""):
            output = self.run_setup(status=1, LOOKAHEAD_LIBTORCH=value)
            self.assertIn("LOOKAHEAD_LIBTORCH is %r; it must be cpu or cuda" % value, output)

    # ---- --fetch

    def test_fetch_leaves_the_link(self):
        self.give_wheels()
        self.run_setup()
        link = os.lstat(self.link)
        self.run_setup("--fetch", "cuda")
        self.assertIn("libtorch_cuda.so", os.listdir(os.path.join(self.fetched("cuda"), "lib")))
        self.assertTrue(os.path.isfile(os.path.join(self.fetched("cuda"), "..", "nvidia", "cu13", "lib", "libcudart.so.13")))
        self.assertEqual(os.readlink(self.link), self.fetched("cpu"))
        self.assertEqual(os.lstat(self.link).st_ino, link.st_ino, "not even recreated")
        # Instant the second time, and prints only the folder.
        shutil.rmtree(self.given)
        self.assertEqual(self.run_setup("--fetch", "cuda"), "")
        self.assertEqual(self.run_setup("--fetch", "cpu"), "")

    def test_fetch_makes_no_link_and_needs_none(self):
        self.give_wheels()
        self.run_setup("--fetch", "cuda")
        self.assertFalse(os.path.lexists(self.link))
        self.assertFalse(os.path.lexists(self.cpu))
        write(os.path.join(self.link, "mine"), "precious")
        self.run_setup("--fetch", "cpu")
        self.assertEqual(read(os.path.join(self.link, "mine")), "precious")

    def test_fetch_ignores_the_users_variables(self):
        self.give_wheels()
        settings = {"LIBTORCH": "/nowhere", "LIBTORCH_USE_PYTORCH": "1", "LOOKAHEAD_LIBTORCH": "gpu"}
        self.run_setup("--fetch", "cuda", **settings)
        os.remove(os.path.join(self.bin, "c++"))
        self.run_setup("--fetch", "cpu", **settings)

    def test_fetch_repairs_what_is_damaged(self):
        self.give_wheels()
        self.run_setup("--fetch", "cuda")
        library = os.path.join(self.fetched("cuda"), "lib", "libtorch_cuda.so")
        write(library, "half")
        self.assertIn("libtorch_cuda.so has 4 bytes instead of 12", self.run_setup("--fetch", "cuda"))
        self.assertEqual(read(library), "CUDA kernels")

    def test_fetch_that_fails_prints_no_folder(self):
        self.without_pip()
        self.assertIn("there is no pip", self.run_setup("--fetch", "cuda", status=1))
        self.assert_nothing_looks_done()
        self.assertIn("invalid choice", self.run_setup("--fetch", "gpu", status=2))

    # ---- The user's own libtorch

    def test_own_libtorch_wins(self):
        own = os.path.join(self.home, "own")
        write(os.path.join(own, "lib", "libtorch.so"), "")
        output = self.run_setup("--quiet", LIBTORCH=own)
        self.assertEqual(len(output.splitlines()), 1, output)
        self.assertIn("LIBTORCH is set: %s is used" % own, output)
        self.assertFalse(os.path.lexists(self.link))
        self.assertFalse(os.path.lexists(self.cache))
        self.assertIn("is used", self.run_setup("--check", LIBTORCH=own, PATH=self.bin + ":" + self.rust()))
        write(os.path.join(own, "build-version"), "2.13.0+cpu\n")
        self.assertIn("(2.13.0+cpu)", self.run_setup(LIBTORCH=own))
        write(os.path.join(own, "build-version"), "2.12.1+cpu\n")
        self.assertIn("is 2.12.1+cpu; it must be 2.13.0", self.run_setup(status=1, LIBTORCH=own))
        self.run_setup(LIBTORCH=own, LIBTORCH_BYPASS_VERSION_CHECK="1")

    def test_own_libtorch_that_is_missing(self):
        self.assertIn("there is no lib/libtorch.so", self.run_setup(status=1, LIBTORCH="/nowhere"))
        self.assertIn("not an absolute path", self.run_setup(status=1, LIBTORCH="libtorch"))
        self.assertIn("not an absolute path", self.run_setup(status=1, LIBTORCH=""))

    def test_cargos_own_libtorch_is_not_the_users(self):
        self.give_wheels()
        self.run_setup(LIBTORCH=self.link)
        self.assert_installed()

    def test_own_pytorch_wins_over_all(self):
        packages = os.path.join(self.home, "packages")
        write(os.path.join(packages, "torch", "__init__.py"), "raise SystemExit('imported: that is slow')")
        write(os.path.join(packages, "torch", "version.py"), "__version__ = '2.13.0+cu130'\n")
        output = self.run_setup(LIBTORCH_USE_PYTORCH="1", LIBTORCH="/nowhere", PYTHONPATH=packages)
        self.assertIn("LIBTORCH_USE_PYTORCH is set and wins over LIBTORCH: the torch 2.13.0+cu130", output)
        self.assertFalse(os.path.lexists(self.link))
        write(os.path.join(packages, "torch", "version.py"), "__version__ = '2.12.0'\n")
        output = self.run_setup(status=1, LIBTORCH_USE_PYTORCH="1", PYTHONPATH=packages)
        self.assertIn("is 2.12.0; it must be 2.13.0", output)

    def test_own_pytorch_that_is_missing(self):
        self.tool("python3", "echo")
        self.assertIn("has no torch", self.run_setup(status=1, LIBTORCH_USE_PYTORCH="1"))
        self.tool("python3", "exit 1")
        self.assertIn("does not run", self.run_setup(status=1, LIBTORCH_USE_PYTORCH="1"))

    # ---- What can be missing

    def test_no_network(self):
        self.need_pip()
        output = self.run_setup(status=1)
        self.assertIn("pip could not download torch 2.13.0", output)
        self.assertIn("put it into %s, " % self.given, output)
        for wheel in WHEELS:
            path = os.path.join(self.wheels, wheel)
            with open(path, "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            self.assertIn("%s  %d bytes  sha256:%s" % (wheel, os.path.getsize(path), digest), output)
        self.assert_nothing_looks_done()
        # Following the advice helps.
        self.give_wheels()
        self.run_setup()
        self.assert_installed()

    def test_a_damaged_given_wheel_is_named(self):
        self.need_pip()
        self.give_wheels()
        with open(os.path.join(self.given, TORCH), "r+b") as file:
            file.write(b"not a zip")
        output = self.run_setup(status=1)
        self.assertIn("%s is damaged" % os.path.join(self.given, TORCH), output)
        self.assertIn(TORCH + "  ", output)
        self.assertNotIn(RUNTIME + "  ", output, "that one is not missing")
        self.assert_nothing_looks_done()

    def without_pip(self):
        """Like Debian's bare Python: neither pip nor ensurepip, and no pip3."""
        broken = os.path.join(self.home, "broken")
        for module in ("pip", "venv", "ensurepip"):
            write(os.path.join(broken, module, "__init__.py"), "raise ImportError('not installed')")
        self.environment["PYTHONPATH"] = broken

    def need_pip(self):
        if subprocess.run([sys.executable, "-m", "pip", "--version"], stdout=subprocess.DEVNULL).returncode:
            self.skipTest("this Python has no pip")

    def rust(self):
        """A folder with a `cargo` in it."""
        folder = os.path.join(self.home, "rust")
        write(os.path.join(folder, "cargo"), "#!/bin/sh\n", 0o755)
        return folder

    def test_no_pip(self):
        self.without_pip()
        output = self.run_setup(status=1)
        self.assertIn("there is no pip", output)
        self.assertIn("sudo apt install python3-pip", output)
        self.assert_nothing_looks_done()

    def test_pip_in_a_new_venv(self):
        # `-m pip` fails; `-m venv` works, and makes one whose pip copies.
        modules = os.path.join(self.home, "modules")
        write(os.path.join(modules, "pip", "__init__.py"), "raise ImportError('not installed')")
        python = "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" = --dest ] && exec /bin/cp '%s'/* \"$2\"/; shift; done\n"
        code = "import os, sys\nos.makedirs(sys.argv[1] + '/bin')\npath = sys.argv[1] + '/bin/python'\n"
        code += "open(path, 'w').write(%r)\nos.chmod(path, 0o755)\n" % (python % self.wheels)
        write(os.path.join(modules, "venv.py"), code)
        self.run_setup(PYTHONPATH=modules)
        self.assert_installed()

    def test_no_compiler(self):
        os.remove(os.path.join(self.bin, "c++"))
        self.assertIn("sudo apt install g++", self.run_setup(status=1))
        self.assertIn("sudo apt install g++", self.run_setup("--check", status=1))
        self.tool("clang++", "exit 0")
        self.assertIn("export CXX=clang++", self.run_setup(status=1))
        self.give_wheels()
        self.run_setup(CXX="clang++")
        self.assertIn("no such C++ compiler", self.run_setup(status=1, CXX="nope++"))

    def test_no_room(self):
        path = os.path.join(self.scripts, "requirements-cpu-%s.txt" % MACHINE)
        lines = read(path).splitlines()
        lines[0] = "# wheel: %s %d" % (TORCH, 10**18)
        write(path, "\n".join(lines) + "\n")
        output = self.run_setup(status=1)
        self.assertIn("libtorch needs 3000000000.0 GB while it is set up", output)
        self.assert_nothing_looks_done()

    def test_no_place_to_write(self):
        write(os.path.join(self.home, "file"), "")
        output = self.run_setup(status=1, XDG_CACHE_HOME=os.path.join(self.home, "file"))
        self.assertIn("set XDG_CACHE_HOME to a folder where files can be written", output)

    def test_unsupported_platform(self):
        # Replaces the system's answers before the script runs.
        site = os.path.join(self.home, "site")
        for uname, libc, expected in (
            ("'Darwin', '', '', '', 'arm64'", "", "for Darwin: only for Linux on x86_64 and aarch64"),
            ("'Linux', '', '', '', 'riscv64'", "", "for Linux riscv64"),
            ("'Linux', '', '', '', 'x86_64'", "glibc 2.17", "for Linux x86_64 with glibc 2.17"),
            ("'Linux', '', '', '', 'x86_64'", None, "for Linux x86_64: only for"),
        ):
            code = "import os\nanswer = os.uname_result((%s))\nos.uname = lambda: answer\n" % uname
            code += "def confstr(name):\n    if %r is None: raise ValueError('musl')\n    return %r\n" % (libc, libc)
            write(os.path.join(site, "sitecustomize.py"), code + ("os.confstr = confstr\n" if libc != "" else ""))
            output = self.run_setup(status=1, PYTHONPATH=site)
            self.assertIn(expected, output)
            self.assertIn("Set LIBTORCH to the folder of a libtorch 2.13.0 of your own", output)

    # ---- --check

    def test_check_changes_nothing(self):
        path = self.bin + ":" + self.rust()
        output = self.run_setup("--check", status=1)
        self.assertEqual([line.split()[0] for line in output.splitlines()], ["missing", "ok", "missing"], output)
        self.assertIn("rustup", output)
        self.assertIn("Run `just setup`", output)
        self.assertFalse(os.path.lexists(self.cache))
        self.assertFalse(os.path.lexists(self.link))
        self.give_wheels()
        self.run_setup()
        output = self.run_setup("--check", PATH=path)
        self.assertEqual([line.split()[0] for line in output.splitlines()], ["ok", "ok", "ok"], output)
        os.remove(self.link)
        self.assertIn("the link .libtorch does not point", self.run_setup("--check", status=1, PATH=path))
        self.assertFalse(os.path.lexists(self.link))

    # ---- The pins themselves

    def test_pins_are_complete(self):
        sys.path.insert(0, HERE)
        self.addCleanup(sys.path.remove, HERE)
        import setup

        for arch in setup.ARCHITECTURES:
            cpu, cuda = (setup.read_pins(variant, arch) for variant in ("cpu", "cuda"))
            self.assertLess(set(cpu), set(cuda))
            self.assertEqual(cpu[0].name, "torch")
            self.assertEqual(cpu[0].version, setup.VERSION)
            for pin in cuda:
                self.assertRegex(pin.sha256, "^[0-9a-f]{64}$")
                self.assertTrue(pin.wheel.endswith("%s.whl" % arch), pin.wheel)
                self.assertTrue(pin.wheel.startswith("%s-%s-" % (pin.name.replace("-", "_"), pin.version)), pin.wheel)


class CheckCudaTest(unittest.TestCase):
    CUDA = ["libtorch_cuda.so", "libtorch.so", "libtorch_cpu.so", "libc10.so", "libc.so.6"]
    SLIM = ["libtorch_cpu.so", "libc10.so", "libc.so.6"]

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="lookahead check ")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.libtorch = os.path.join(self.home, "libtorch")
        self.libraries = os.path.join(self.libtorch, "lib")
        for name in self.CUDA[:4]:
            write(os.path.join(self.libraries, name), "")
        self.bin = os.path.join(self.home, "bin")
        needs = {"lookahead-core": [("tch", None)], "trainer": [("lookahead-core", None)], "screen": [("ui", "dev")]}
        packages = [
            {"name": name, "id": "id of " + name, "dependencies": [{"name": n, "kind": kind} for n, kind in wanted]}
            for name, wanted in needs.items()
        ]
        write(os.path.join(self.bin, "metadata"), json.dumps({"packages": packages}))
        self.tool("cargo", 'exec /bin/cat "${0%cargo}metadata"')
        self.tool("readelf", '[ "$LC_ALL" = C ] && exec /bin/cat "$3.dynamic"')
        self.messages = [{"reason": "build-finished", "success": True}]
        self.program("trainer", "bin", "lookahead")
        self.program("lookahead-core", "example", "ranger")
        self.program("lookahead-core", "bench", "sync")
        self.program("lookahead-core", "lib", "lookahead_core", test=True)
        self.cuda = self.program("lookahead-core", "test", "it", test=True)
        self.runs(self.cuda, "true")
        # These three don't count.
        self.program("screen", "example", "demo", needed=["libc.so.6"])
        self.program("lookahead-core", "custom-build", "build-script-build", needed=["libc.so.6"])
        self.messages.insert(0, {"reason": "compiler-artifact", "executable": None})

    def tool(self, name, script):
        write(os.path.join(self.bin, name), "#!/bin/sh\n%s\n" % script, 0o755)

    def runs(self, path, answer, count=1, status=0):
        """The output of the test that is run, without the help of LD_LIBRARY_PATH."""
        output = 'echo "has_cudart() is %s, has_nccl() is %s"; ' % (answer, answer)
        output += 'echo "test result: ok. %d passed; 0 failed"' % count
        write(path, '#!/bin/sh\n[ -z "$LD_LIBRARY_PATH" ] || exit 3\n%s\nexit %d\n' % (output, status), 0o755)

    def program(self, package, kind, name, test=False, needed=None, run_path=None):
        path = os.path.join(self.home, "target", name)
        lines = [" 0x1 (NEEDED)   Shared library: [%s]" % library for library in needed or self.CUDA]
        lines.append(" 0x1d (RUNPATH)  Library runpath: [%s]" % (run_path or self.libraries))
        write(path + ".dynamic", "\n".join(lines) + "\n")
        message = {"reason": "compiler-artifact", "package_id": "id of " + package, "executable": path}
        message.update(target={"kind": [kind], "name": name}, profile={"test": test})
        self.messages = [message] + [m for m in self.messages if m.get("executable") != path]
        return path

    def check(self, *arguments, status=0):
        """Runs the script on the messages. Returns what it output."""
        command = [sys.executable, os.path.join(HERE, "check_cuda.py"), self.libtorch] + list(arguments)
        lines = "".join(json.dumps(message) + "\n" for message in self.messages)
        environment = {"PATH": self.bin, "LD_LIBRARY_PATH": "/elsewhere"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        answer = subprocess.run(command, input=lines, env=environment, universal_newlines=True, timeout=60, **pipes)
        self.assertEqual(answer.returncode, status, answer.stdout + answer.stderr)
        self.assertNotIn("Traceback", answer.stderr)
        self.assertEqual(answer.stderr == "", status == 0, answer.stderr)
        return answer.stdout + answer.stderr

    def test_all_is_well(self):
        output = self.check()
        self.assertIn("5 programs checked; 1 more belong to crates without libtorch", output)
        self.assertIn("All checks passed; has_cudart() is true", output)
        self.assertNotIn("WRONG", output)
        self.assertNotIn("build-script-build", output)
        self.assertRegex(output, "unit tests lookahead_core +lookahead-core +ok")

    def test_cuda_was_dropped_by_the_linker(self):
        path = self.program("trainer", "test", "resume", test=True, needed=self.SLIM)
        output = self.check(status=1)
        self.assertIn("test resume of trainer does not name libtorch_cuda.so", output)
        self.assertIn("it names libc10.so, libtorch_cpu.so", output)
        self.assertIn(path, output)
        self.assertEqual(output.count("WRONG"), 1, output)

    def test_a_run_path_that_leads_elsewhere(self):
        other = os.path.join(self.home, "other")
        write(os.path.join(other, "libtorch_cpu.so"), "")
        self.program("trainer", "bin", "lookahead", run_path="/nowhere:%s:%s" % (other, self.libraries))
        self.assertIn("the run path of bin lookahead of trainer leads to %s" % other, self.check(status=1))
        self.program("trainer", "bin", "lookahead", run_path="/nowhere:$ORIGIN/../libtorch/lib")
        self.check()
        self.program("trainer", "bin", "lookahead", run_path="/nowhere")
        self.assertIn("leads to no libtorch", self.check(status=1))

    def test_the_runtime_is_not_reached(self):
        for answer, count, code in (("false", 1, 0), ("true", 0, 0), ("true", 1, 101)):
            self.runs(self.cuda, answer, count, code)
            output = self.check(status=1)
            self.assertIn("should pass and print `has_cudart() is true, has_nccl() is true`", output)
            self.assertIn("has_cudart() is %s" % answer, output)

    def test_slim(self):
        self.assertIn("it must be one without libtorch_cuda.so", self.check("--slim", status=1))
        os.remove(os.path.join(self.libraries, "libtorch_cuda.so"))
        self.assertIn("it must be one with libtorch_cuda.so", self.check(status=1))
        self.runs(self.cuda, "false")
        self.assertEqual(self.check("--slim", status=1).count("which is not in"), 5)
        for message in self.messages:
            dynamic = (message.get("executable") or "") + ".dynamic"
            if os.path.exists(dynamic):
                lines = read(dynamic).splitlines(True)
                write(dynamic, "".join(line for line in lines if "libtorch_cuda" not in line))
        self.assertIn("has_cudart() is false", self.check("--slim"))

    def test_what_was_not_built_is_missed(self):
        for kind in ("bin", "example", "test", "bench"):
            kept = self.messages
            self.messages = [m for m in kept if m.get("target", {}).get("kind") != [kind]]
            self.assertIn("cargo built no %s that uses libtorch" % kind, self.check(status=1))
            self.messages = kept
        self.messages[-1]["success"] = False
        self.assertIn("cargo's build failed", self.check(status=1))
        self.messages.pop()
        self.assertIn("cargo's build failed", self.check(status=1))

    def test_no_readelf(self):
        os.remove(os.path.join(self.bin, "readelf"))
        self.assertIn("sudo apt install binutils", self.check(status=1))


class Recipes(unittest.TestCase):
    """What the recipes of the justfile install by pip is pinned, and known by its hash."""

    ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))

    def test_pip_takes_only_files_with_known_hashes(self):
        with open(os.path.join(self.ROOT, "justfile")) as file:
            lines = file.read().replace("\\\n", " ").splitlines()
        installs = [line for line in lines if "pip install" in line]
        self.assertTrue(installs)
        for line in installs:
            self.assertIn("--require-hashes", line)
            self.assertIn("--requirement", line)

    def test_every_requirement_has_a_version_and_hashes(self):
        with open(os.path.join(self.ROOT, "research/bench/python/requirements.txt")) as file:
            text = file.read().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        self.assertTrue(lines)
        for line in lines:
            self.assertRegex(line, r"^[A-Za-z0-9._-]+==\S+ .*--hash=sha256:[0-9a-f]{64}")


if __name__ == "__main__":
    unittest.main()
