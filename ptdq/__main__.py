"""``python -m ptdq``: the same as the command ``ptdq``."""

from ptdq.cli.main import main

main()
