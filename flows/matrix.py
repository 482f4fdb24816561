"""The flow ``benchmark-matrix``: models × lengths × machines, fanned out over Prefect work pools.

A machine is a deployment of ``quantization-benchmark`` (``deployments/matrix.yaml``); the workers of its
pool take one run at a time each (``--limit 1``, and the lock of the machine). All write into one
results directory that they and this flow see. Nothing is measured here: this flow starts the runs,
sleeps, and puts what they left into one report.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger

from ptdq.host.terminal import keep
from ptdq.matrix.collect import check_runs, collect
from ptdq.matrix.plan import completed_runs, plan_runs, undecidable
from ptdq.orchestration.artifacts import publish_matrix
from ptdq.orchestration.deployments import check_machines, run_on_machines
from ptdq.orchestration.ending import completed, ended
from ptdq.orchestration.flow_run import current_flow_run, directory_for
from ptdq.orchestration.signature import flat
from ptdq.parameters.matrix import MatrixParameters
from ptdq.report.machines import document, machine_rows
from ptdq.store import matrix_record
from ptdq.store.disk import write_text
from ptdq.store.layout import MatrixFiles


@flow(name="benchmark-matrix", validate_parameters=True)
@flat(MatrixParameters)
def benchmark_matrix(parameters: MatrixParameters) -> Any:
    """Measure models on machines; one report with a row for each CPU.

    Args:
        parameters: what to measure, and where.
    """
    log = get_run_logger()
    files = MatrixFiles(directory_for(parameters, current_flow_run()))
    with ended(files) as ending:
        runs = plan_runs(parameters, files)
        for warning in undecidable(runs):
            log.warning(warning)
        check_machines(parameters.machine)
        matrix_record.begin(files, parameters.model_dump())
        keep(files.log)
        errors = completed_runs(runs, files)
        for child in errors:
            log.info("%s: it is there already", child.run_id)
        missing = {child: values for child, values in runs.items() if child not in errors}
        errors |= run_on_machines(files, parameters, missing)

        errors = {child: errors[child] for child in runs}
        rows = collect(files, errors)
        markdown = document(files.matrix_id, rows, parameters.price)
        write_text(files.report, markdown)
        matrix_record.end(files)
        machines = machine_rows(rows, parameters.price)
        publish_matrix(files.matrix_id, files.directory, markdown, machines)
        check_runs(files, errors)
    return ending.state or completed(files)
