"""``ptdq tune`` from a model to what was chosen; like a run it takes the machine for itself."""

from __future__ import annotations

from collections.abc import Callable

from ptdq.demo.build import make_demo
from ptdq.errors import UserError
from ptdq.host import machine, terminal
from ptdq.host.lock import MachineLock
from ptdq.inputs.load import calibration_for, open_model, read_data
from ptdq.measure.run_request import choose_settings
from ptdq.parameters import DEMO, Parameters, with_demo
from ptdq.store.cache import private_cache
from ptdq.variants import registry
from ptdq.variants.preparation import PreparedVariant, Terms, preparation_log, prepare_variant

BEST = "int8-best"
_WEEK = 7 * 24 * 3600.0


def tune(parameters: Parameters, test: bool, say: Callable[[str], None]) -> PreparedVariant:
    """Search ``int8-best`` for a model, or find the choice that was made before.

    A run of the same model, calibration data and longest maximum length finds it in the cache.

    Args:
        parameters: of a run.
        test: whether ``data`` are documents that a run will measure: then none of them may be among
            those to calibrate on. Nothing else is done with them.
        say: told what goes on, a line at a time.

    Raises:
        UserError: the input is wrong, or the model cannot be had in int8.
        RunFailed: the process that searches failed.
    """
    registry.check_installed(BEST)
    if parameters.calibration_data is None and not (
        parameters.random_weights or DEMO in (parameters.model, parameters.data)
    ):
        raise UserError("calibration_data: give documents to search on (--calibration-data FILE)")
    settings = choose_settings(parameters)
    with MachineLock() as lock, machine.capped(parameters.isa):
        if DEMO in (parameters.model, parameters.data):
            lock.acquire("tune", say, parameters.max_wait)  # making the demo trains a model
        sources = with_demo(parameters, lambda: make_demo(private_cache() / "demo"))
        raw = read_data(sources) if test else None
        # They give the classes of a model that names none, as in a run.
        checkpoint = open_model(sources, [] if raw is None else list(raw.known_labels()))
        calibration = calibration_for(sources, checkpoint, raw)
        lock.acquire("tune", say, parameters.max_wait)
        log = preparation_log(BEST)
        terminal.stage(f"searching for up to {parameters.tune_minutes:g} minutes")
        return prepare_variant(
            BEST,
            checkpoint,
            settings,
            calibration,
            log,
            Terms(_WEEK, use_cache=not parameters.no_cache),
        )
