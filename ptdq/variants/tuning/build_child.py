"""The child process that makes candidates: ``python -m ptdq.variants.tuning.build_child request.json``.

One for each engine, so that what a compiler takes, or crashes, is its own; each that is made is written
down at once, and the process may be killed at any time.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ptdq.errors import line_of
from ptdq.host.child import die_with_parent, read_request


@dataclass(frozen=True)
class BuildRequest:
    """The JSON file that the child reads holds just this.

    Attributes:
        source: directory of the normalized float model.
        settings: of the preparation.
        answers: task and cut of the model's answers.
        samples: file of the calibration documents.
        candidates: what to make, by name.
        directory: gets a directory for each, and a file ``NAME.json`` of what was made, or why not.
    """

    source: str
    settings: dict[str, Any]
    answers: dict[str, Any]
    samples: str
    candidates: dict[str, dict[str, Any]]
    directory: str


def main(arguments: list[str]) -> int:
    """Make what the request names, in its order."""
    die_with_parent()
    values, report = read_request(arguments)
    request = BuildRequest(**{field.name: values[field.name] for field in fields(BuildRequest)})
    from ptdq.inputs.arrays import Calibration
    from ptdq.inputs.source import Source
    from ptdq.problem.answers import Answers
    from ptdq.store.disk import write_json
    from ptdq.variants.base import Settings
    from ptdq.variants.tuning.samples import Samples
    from ptdq.variants.tuning.workshop import Workshop, candidate_of

    settings = Settings.from_json(request.settings)
    source = Source.open(Path(request.source), settings)
    samples = Samples.load(Path(request.samples))
    calibration = Calibration(samples.inputs, "", Answers(**request.answers))
    workshop = Workshop(source, settings, calibration, samples)
    directory = Path(request.directory)
    for done, (name, made) in enumerate(request.candidates.items()):
        report(done)
        try:
            found = workshop.build(candidate_of(made), directory / name).as_json()
        except Exception as error:
            # Exporters, quantizers and compilers fail with anything; the next one may do.
            found = {"reason": line_of(error)}
        write_json(directory / f"{name}.json", found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
