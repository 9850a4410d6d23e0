"""Checks the documentation: links and anchors resolve, and the walkthroughs have their examples' code. Run by `just lint`.
A test of the trainer, tests/it/keys.rs, checks the tables of configuration.md."""

import pathlib
import re
import subprocess
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent


def without_code(text):
    """The text without fenced blocks, whose content is not Markdown."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """The anchors that GitHub gives to the headings of a page."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", without_code(page.read_text()), flags=re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        repeats = sum(1 for other in found if re.fullmatch(re.escape(slug) + r"(-\d+)?", other))
        found.add(f"{slug}-{repeats}" if repeats else slug)
    return found


def broken_links(page):
    text = re.sub(r"`[^`\n]*`", "", without_code(page.read_text()))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = urllib.parse.unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"{link} does not exist"
        elif anchor and anchor not in anchors(target):
            yield f"{link} has no such heading"


# The walkthroughs, each with the folder of its example.
WALKTHROUGHS = {"docs/your-own-task.md": "examples/spirals", "docs/your-own-optimizer.md": "examples/friedman"}


def other_code(page, folder):
    """The blocks of a walkthrough that differ from the example's files, each of which comes after its name."""
    text = (ROOT / page).read_text()
    for name, block in re.findall(r"^`([\w/]+\.\w+)`.*?^```\w+\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        if block != (ROOT / folder / name).read_text():
            yield f"{page}: the code of {name} differs from {folder}/{name}"


def main():
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    pages = [ROOT / name for name in names.splitlines()]
    faults = [f"{page.relative_to(ROOT)}: {fault}" for page in pages for fault in broken_links(page)]
    faults += [fault for page, folder in WALKTHROUGHS.items() for fault in other_code(page, folder)]
    sys.exit("\n".join(faults) or None)


if __name__ == "__main__":
    main()
