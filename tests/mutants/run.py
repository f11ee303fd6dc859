"""Plants each mutant in a copy of the sources and runs the tests that must fail then: `make mutants`, or with names of mutants.

Not a part of `make test`: it asks whether the tests bite, not whether the code is right. Exit code 1 when a mutant lives.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.planted import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
COPIED = (
    "provision",
    "tests",
    "images",
    "cloud-init",
    "inventories",
    "docs",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
)
WITHIN_S = 600.0


def main(names: list[str]) -> int:
    """Tries the mutants of these names, or all; prints a line for each, and how many live."""
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    living = []
    for number, mutant in enumerate(chosen, 1):
        started = time.monotonic()
        verdict = tried(mutant)
        print(f"{number:2} {verdict:7} {time.monotonic() - started:4.0f} s  {mutant.name}: {mutant.path}", flush=True)
        living += [mutant.name] if verdict != "killed" else []
    print(f"{len(chosen) - len(living)} killed, {len(living)} alive")
    return 1 if living else 0


def tried(mutant: Mutant) -> str:
    """`killed` when a test fails, `alive` when none does, `stale` when the line is no longer there to be changed."""
    with tempfile.TemporaryDirectory(prefix="meshctl-mutant-") as folder:
        _copy(Path(folder))
        path = Path(folder, mutant.path)
        source = path.read_text()
        if source.count(mutant.line) != 1:
            return "stale"
        path.write_text(source.replace(mutant.line, mutant.instead))
        status = _tests(Path(folder), mutant.tests)
    # pytest's own codes: 1 is a failed test; anything else (no test collected, a usage error) proves nothing.
    return {0: "alive", 1: "killed"}.get(status, f"rc {status}")


def _copy(folder: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


def _tests(folder: Path, tests: tuple[str, ...]) -> int:
    argv = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not lab", *tests]
    env = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        return subprocess.run(argv, cwd=folder, env=env, timeout=WITHIN_S, **quiet).returncode  # type: ignore[call-overload,no-any-return]
    except subprocess.TimeoutExpired:
        return 1  # hanging for ever is what the mutant made of it: a run of CI would fail by it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
