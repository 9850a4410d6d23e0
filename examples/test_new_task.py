import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class NewTask(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = os.path.realpath(folder.name)

    def run_script(self, *arguments):
        command = [sys.executable, "-B", os.path.join(HERE, "new_task.py"), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def read(self, *path):
        with open(os.path.join(self.folder, *path), encoding="utf-8") as file:
            return file.read()

    def test_a_crate_has_the_name_everywhere(self):
        status, said = self.run_script("two-moons")
        self.assertEqual(status, 0, said)
        self.assertIn("cargo run --release -- train two-moons.toml", said)
        found = {os.path.relpath(os.path.join(at, file), self.folder) for at, _, files in os.walk(self.folder) for file in files}
        # The example with its own name, and what makes it stand alone.
        listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "."], cwd=os.path.join(HERE, "my-task"),
                                check=True, capture_output=True, text=True).stdout.split()
        own = {".gitignore", ".cargo/config.toml", "Cargo.lock"}
        self.assertEqual({"two-moons/" + file.replace("my-task", "two-moons") for file in listed} | {"two-moons/" + file for file in own}, found)
        for file in found:
            if not file.endswith("Cargo.lock"):
                self.assertNotIn("my-task", self.read(file), file)
        manifest = self.read("two-moons", "Cargo.toml")
        self.assertIn('path = "%s/crates/lookahead-trainer"' % os.path.dirname(HERE), manifest)
        self.assertIn("[workspace]", manifest)

    def test_a_crate_in_the_clone_finds_it_by_a_relative_path(self):
        target = os.path.join(os.path.dirname(HERE), "target")
        os.makedirs(target, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target) as folder:
            status, said = self.run_script(os.path.join(folder, "moons"))
            self.assertEqual(status, 0, said)
            self.assertIn('path = "../../../crates/lookahead-trainer"', self.read(folder, "moons", "Cargo.toml"))

    def test_nothing_is_overwritten(self):
        os.mkdir(os.path.join(self.folder, "mine"))
        status, said = self.run_script("mine")
        self.assertEqual(status, 2)
        self.assertIn("mine exists, and is not overwritten", said)
        self.assertEqual(os.listdir(os.path.join(self.folder, "mine")), [])
        os.symlink("nowhere", os.path.join(self.folder, "link"))
        self.assertEqual(self.run_script("link")[0], 2)

    def test_names_that_cargo_refuses(self):
        for name, words in (
            ("Moons", "lower-case letters"),
            ("2moons", "beginning with a letter"),
            ("two moons", "lower-case letters"),
            ("möbius", "lower-case letters"),
            ("m" * 65, "64 at most"),
            ("match", "a word of Rust"),
            ("test", "the name of another crate"),
            ("lookahead-core", "the name of another crate"),
        ):
            status, said = self.run_script(name)
            self.assertEqual(status, 2, name)
            self.assertIn("error: `%s` can't be the name of a task." % name, said)
            self.assertIn(words, said)
            self.assertEqual(os.listdir(self.folder), [])
        self.assertIn("There is no folder", self.run_script("no/moons")[1])
        self.assertIn("Give a name", self.run_script("")[1])


if __name__ == "__main__":
    unittest.main()
