"""The wheel, and an environment with it beside a project that has `flows`, `tasks` and `tests` too.

The environment sees the libraries that are installed here, and this checkout not at all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

from tests.support.running import ROOT

INSTALLED = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "theirs"
version = "1.0"

[project.entry-points."ptdq.variants"]
theirs = "theirs.variant:Theirs"

[tool.setuptools]
packages = ["theirs", "flows", "tasks", "tests"]
"""
PACKAGES = ("flows", "tasks", "tests")
OWN = 'WHOSE = "theirs"\n'
CHECKED = """
from flows import WHOSE as flows
from tasks.steps import WHOSE as tasks
from tests import WHOSE as tests

assert flows == tasks == tests == "theirs"
"""
VARIANT = """
from ptdq.variants import get
import theirs.checked

class Theirs(type(get("int8-dynamic"))):
    name = "theirs"
    summary = "as int8-dynamic, from a package that is installed"
"""
LOADER = """
import subprocess, sys
from transformers import AutoConfig, AutoModelForSequenceClassification
import theirs.checked

# As Prefect's server and Dask's workers are started: from the environment that the command leaves.
subprocess.run([sys.executable, "-P", "-c", "import ptdq.errors, theirs.checked, loaded"], check=True)

def build(directory):
    return AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(directory))
"""


def build_wheel(scratch: Path) -> Path:
    """The wheel that is made of the source distribution, as a package index would get both."""
    source = scratch / "source"
    for name in ("ptdq", "flows", "tasks", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(scratch / "dist"), cwd=source)
    (wheel,) = (scratch / "dist").glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Neighbour:
    """The project's directory, which is a git repository, and what runs in its environment."""

    directory: Path

    @property
    def bin(self) -> Path:
        """Where the environment's commands are."""
        return self.directory / ".venv" / "bin"

    @property
    def environment(self) -> dict[str, str]:
        """That of this process, with the project's packages on the path."""
        return os.environ | {"PYTHONPATH": str(self.directory / "on_path")}

    def run(self, command: str, *arguments: object, **variables: str) -> str:
        """A command of the environment, in the project's directory; what it prints."""
        environment = self.environment | variables
        return run(str(self.bin / command), *map(str, arguments), cwd=self.directory, env=environment)


def make_neighbour(directory: Path, wheel: Path) -> Neighbour:
    """The project with its packages in its directory, on the path and installed, all of one name."""
    made = Neighbour(directory)
    for root in (directory, directory / "on_path"):
        for name in PACKAGES:
            (root / name).mkdir(parents=True)
            (root / name / "__init__.py").write_text(OWN)
        (root / "tasks" / "steps.py").write_text(OWN)
    (directory / "theirs").mkdir()
    for path, text in {
        "theirs/__init__.py": "",
        "theirs/checked.py": CHECKED,
        "theirs/variant.py": VARIANT,
        # In the working directory and nowhere else.
        "loader.py": LOADER,
        "loaded.py": "",
        "pyproject.toml": INSTALLED,
        ".gitignore": ".venv/\n",
    }.items():
        (directory / path).write_text(text)
    _make_environment(directory / ".venv")
    for package in (wheel, directory):
        pip = ("-m", "pip", "--python", str(made.bin / "python"), "install", "--quiet")
        run(sys.executable, *pip, "--no-index", "--no-deps", "--no-build-isolation", str(package))
    shutil.rmtree(directory / "theirs")
    shutil.rmtree(directory / "build")
    git = ("git", "-c", "user.name=they", "-c", "user.email=they@localhost")
    for arguments in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "theirs")):
        run(*git, *arguments, cwd=directory)
    return made


def _make_environment(directory: Path) -> None:
    """A virtual environment that finds the libraries installed here."""
    venv.create(directory, symlinks=True)
    (site_packages,) = directory.glob("lib/python*/site-packages")
    # What .pth files there would add, such as this checkout, is not: they are read in site directories.
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site_packages / "libraries.pth").write_text("\n".join(here), encoding="utf-8")


def run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command to its good end; what it printed."""
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
