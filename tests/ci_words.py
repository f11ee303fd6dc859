"""The scripts of docs/ci: taken out of their YAML and run as the two CI systems run them, in a checkout of the tests' own."""

from __future__ import annotations

import os
import re
import string
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).parents[1] / "docs"
PIPELINE = "7"
"""The number of the merge request, or of the pull request."""

NAME = f"pr-{PIPELINE}"
"""What both examples call its cluster."""


@dataclass(frozen=True)
class Script:
    """A part of a job that one shell runs; `always`: after a failure too."""

    text: str
    env: Mapping[str, str]
    always: bool = False

    def run(self, checkout: Path, *, show: bool = False) -> subprocess.CompletedProcess[str]:
        """Runs it in a checkout, with this meshctl in PATH. With `show` what it says on stderr is seen at once."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", self.text],
            cwd=checkout,
            env=os.environ | self.env | {"PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if show else subprocess.PIPE,
            text=True,
        )


def gitlab(job: str) -> list[Script]:
    """The script and the after_script of a job of GitLab CI: each a shell of its own (docs.gitlab.com, ci/yaml: after_script)."""
    whole = yaml.safe_load((DOCS / "ci" / "gitlab-ci.yml").read_text())
    said: dict[str, str] = {**whole.get("variables", {}), **whole[job].get("variables", {})}
    env = {name: string.Template(value).substitute(CI_MERGE_REQUEST_IID=PIPELINE) for name, value in said.items()}
    parts = [("script", False), ("after_script", True)]
    return [Script("\n".join(whole[job][part]), env, always) for part, always in parts if part in whole[job]]


def github(job: str) -> list[Script]:
    """The steps of a job of GitHub Actions that run something, each a shell of its own."""
    whole = yaml.safe_load((DOCS / "ci" / "github-actions.yml").read_text())
    said: dict[str, Any] = {**whole.get("env", {}), **whole["jobs"][job].get("env", {})}
    env = {name: re.sub(r"\$\{\{ github\.event\.number \}\}", PIPELINE, value) for name, value in said.items()}
    steps = [step for step in whole["jobs"][job]["steps"] if "run" in step]
    return [Script(step["run"], env, step.get("if") == "always()") for step in steps]
