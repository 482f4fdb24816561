"""Which images of others are pinned by digest: ``python -m deployments.images``; status 1 if any is not.

A tag can be moved to other content, a digest cannot. It takes a registry to look a digest up, with what
this prints. The image ``ptdq`` is one's own, built from here.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

HERE = Path(__file__).parent
OWN = "ptdq"
_NAMED = re.compile(r"^\s*(?:-\s+)?(?:FROM|image:)\s+[\"']?([a-z0-9][\w./:@-]*)", re.MULTILINE)


def images() -> dict[str, list[Path]]:
    """Every image of others to the files that name it."""
    files: dict[str, list[Path]] = {}
    for path in sorted(HERE.rglob("*")):
        if path.name == "Dockerfile" or path.suffix == ".yaml":
            for name in _NAMED.findall(path.read_text(encoding="utf-8")):
                if re.split("[:@]", name)[0] != OWN:
                    files.setdefault(name, []).append(path)
    return files


def pinned(image: str) -> bool:
    """Whether an image is named by its content."""
    return re.fullmatch(r".+@sha256:[0-9a-f]{64}", image) is not None


@click.command()
def main() -> None:
    """Say which images are pinned by digest."""
    missing = False
    for image, paths in images().items():
        where = ", ".join(str(path.relative_to(HERE)) for path in paths)
        if pinned(image):
            click.echo(f"pinned: {image} ({where})")
        else:
            missing = True
            click.echo(
                f"not pinned: {image} ({where}); append @ and the digest that this prints: "
                f"docker buildx imagetools inspect {image}"
            )
    sys.exit(int(missing))


if __name__ == "__main__":
    main()
