"""``ptdq why``: where the time of a document goes, by class of operation, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ptdq.cli.options import RESULTS


@click.command("why")
@click.argument("run", metavar="RUN")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    required=True,
    help="Which of the run's variants; repeat it to see several side by side.",
)
@click.option("--against", help="Another of them, to be shown beside it.")
@click.option("--max-length", type=int, help="Tokens.  [default: the longest that the run measured]")
@click.option(
    "--documents",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="How many of the run's documents are called, chosen over their lengths.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--model-loader", help="package.module:function of the run, where its model needs that.")
@click.option("--trust-remote-code", is_flag=True, help="Run code that comes with the run's checkpoint.")
@RESULTS
def command(
    run: str,
    variants: Sequence[str],
    against: str | None,
    as_json: bool,
    results_dir: str,
    **how: object,
) -> None:
    """Say where the time of a document goes in a variant of RUN, and what can be done about it.

    The variant's artifact is called once more in a process of its own, with the profiler of its runtime.
    What is found is kept in the run's directory: `ptdq report RUN` has a section of it then.
    """
    from ptdq.report.terminal import console
    from ptdq.store.layout import open_run
    from ptdq.store.results import as_data, local
    from ptdq.why.find import Asked
    from ptdq.why.run import explain
    from ptdq.why.show import as_text, show

    files = open_run(run, local(results_dir))
    asked = Asked(
        max_length=how["max_length"],  # type: ignore[arg-type]
        documents=how["documents"],  # type: ignore[arg-type]
        loader=how["model_loader"],  # type: ignore[arg-type]
        trust_remote_code=bool(how["trust_remote_code"]),
    )
    names = list(dict.fromkeys(name for name in (*variants, against) if name is not None))
    with as_data(files):
        explained = explain(files, names, asked, say=lambda text: click.echo(text, err=True))
        if as_json:
            click.echo(as_text(explained))
            return
        show(explained, console())
    click.echo(str(explained.plot))
