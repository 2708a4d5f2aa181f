"""`python -m pattoo build [FILE] [-o OUTPUT]`: makes a component of a collector."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

COMPONENTIZE_PY = "componentize-py==0.25.1"

ENTRY = """\
import {module}
from pattoo.component import world
WitWorld = world({module}.collect)
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m pattoo", description="Tools for collectors of pattoo-wasm.")
    commands = parser.add_subparsers(dest="command", required=True)
    build_command = commands.add_parser("build", help="make a WebAssembly component of a collector")
    build_command.add_argument("file", nargs="?", default="collector.py", help="it has `collect` (default: %(default)s)")
    build_command.add_argument("-o", "--output", help="the component (default: the file's name with `.wasm`)")
    arguments = parser.parse_args()
    source = Path(arguments.file)
    try:
        build(source, Path(arguments.output or source.with_suffix(".wasm").name))
    except Problem as problem:
        print(f"pattoo: {problem}", file=sys.stderr)
        return 1
    return 0


class Problem(Exception):
    """What keeps a component from being built, for the person at the terminal."""


def build(source: Path, output: Path) -> None:
    """Makes a component of a file that has a function `collect`. What lies beside the file it may import."""
    if not source.is_file():
        raise Problem(f"there is no file {source}")
    if not source.stem.isidentifier():
        raise Problem(f"{source.name} cannot be imported: call it by letters, digits and `_`")
    package = Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory() as scratch:
        entry = Path(scratch, "pattoo_entry.py")
        entry.write_text(ENTRY.format(module=source.stem))
        made = Path(scratch, "component.wasm")
        command = [*_componentize(), "--quiet", "--wit-path", str(package / "wit"), "--world", "collector", "componentize"]
        # The order is that of the search: the collector's own folder goes first.
        paths = [source.resolve().parent, package.parent, Path(scratch), *_site_packages()]
        for path in dict.fromkeys(map(str, paths)):
            command += ["--python-path", path]
        result = subprocess.run([*command, "pattoo_entry", "--output", str(made)], check=False)
        if result.returncode != 0 or not made.exists():
            raise Problem(f"{source} was not built; what componentize-py says about it is above")
        shutil.copyfile(made, output)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


def _componentize() -> list[str]:
    """The command, out of this Python's environment or the search path."""
    beside = Path(sys.executable).parent / "componentize-py"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("componentize-py")
    if found is None:
        raise Problem(f"componentize-py is missing; install it with: {sys.executable} -m pip install {COMPONENTIZE_PY}")
    return [found]


def _site_packages() -> list[Path]:
    """Where what was installed into a virtual environment lies; a system's own packages are not meant for a component."""
    if sys.prefix == sys.base_prefix:
        return []
    paths = (Path(path) for path in sys.path if path)
    # Its compiled half is for this machine, and it is of no use in a component.
    return [path for path in paths if path.name == "site-packages" and path.is_relative_to(sys.prefix)]


if __name__ == "__main__":
    sys.exit(main())
