"""Variants by name (:mod:`ptdq.variant_names`), and what each needs to be installed.

Importing this module imports no variant: each is imported when asked for, so that the worker loads
one runtime and not all.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from ptdq.errors import UserError, line_of
from ptdq.variant_names import BUILT_IN, check_name, names, places
from ptdq.variants.base import Variant


def get(name: str) -> Variant:
    """The variant of this name.

    Raises:
        UserError: there is none of this name (lists those there are), or it cannot be imported, or is
            no complete variant.
    """
    # Without a look at what other packages add where it is not needed: that reads the metadata of all.
    place = BUILT_IN.get(name) or places().get(check_name(name), name)
    module, _, attribute = place.partition(":")
    try:
        named = getattr(importlib.import_module(module), attribute)
        if not (isinstance(named, type) and issubclass(named, Variant)):
            raise UserError(f"variant '{name}': {place} is no subclass of ptdq.variants.base.Variant")
        variant = named()
    except UserError:
        raise
    except Exception as error:
        # Anyone's module runs here, and may fail with anything.
        raise UserError(f"variant '{name}': {place} cannot be loaded ({line_of(error)})") from error
    lacks = [field for field in ("name", "summary") if not isinstance(getattr(variant, field, None), str)]
    if lacks:
        raise UserError(f"variant '{name}': the class {place} has no {' and no '.join(lacks)}")
    return variant


def missing_packages(variant: Variant) -> list[str]:
    """Distributions that the variant needs and that are not installed; none where it has its own."""
    import importlib.metadata  # with e-mail and more, which workers need not load

    missing: list[str] = []
    if variant.python is not None:
        return missing
    for distribution in variant.requires:
        try:
            importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            missing.append(distribution)
    return missing


def check_installed(name: str) -> None:
    """Raises UserError, with what to do, where packages that the variant needs are missing."""
    variant = get(name)
    if variant.python is not None and not Path(variant.python).is_file():
        raise UserError(f"variant {name} needs the environment of {variant.python}, which is not there")
    if missing := missing_packages(variant):
        raise UserError(f"variant {name} needs {', '.join(missing)} ({install_hint(variant)})")


def check_takes(name: str, family: str) -> None:
    """Raises UserError, with what to use instead, where the variant cannot take a family of models."""
    if reason := get(name).refuses.get(family):
        raise UserError(f"variant {name} cannot take a model of the family {family}: {reason}")


def install_hint(variant: Variant) -> str:
    """What to do where a variant's packages are missing."""
    return f"pip install 'ptdq[{variant.extra}]'" if variant.extra else "install them with pip"


__all__ = [
    "BUILT_IN",
    "check_installed",
    "check_name",
    "check_takes",
    "get",
    "install_hint",
    "missing_packages",
    "names",
]
