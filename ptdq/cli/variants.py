"""``ptdq variants``: the variants there are."""

from __future__ import annotations

import click

from ptdq.errors import UserError


@click.command("variants")
def command() -> None:
    """List the variants: what each does, what it needs, whether it is installed here."""
    from rich.markup import escape
    from rich.table import Table

    from ptdq.report.terminal import console
    from ptdq.variants import registry

    table = Table("variant", "what it does", "needs", "installed")
    for name in registry.names():
        try:
            variant = registry.get(name)
        except UserError as error:
            # One of another package that is broken: the others are listed all the same.
            table.add_row(name, escape(str(error)), "-", "no")
            continue
        missing = registry.missing_packages(variant)
        table.add_row(
            name,
            variant.summary,
            ", ".join(variant.requires) or "-",
            "yes" if not missing else registry.install_hint(variant),
        )
    console().print(table)
