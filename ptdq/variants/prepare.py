"""The child process that prepares one artifact: ``python -m ptdq.variants.prepare request.json``.

A process of its own, so that the memory and the threads of a compiler are gone when it ends.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from ptdq.errors import UserError
from ptdq.host.child import die_with_parent, read_request

USER_ERROR_STATUS = 2


def main(arguments: list[str]) -> int:
    """Prepare what the request names; status 2 and one line for an error that the user can mend."""
    die_with_parent()
    request, report = read_request(arguments)
    from ptdq.inputs.calibration import CalibrationRequest, read_calibration
    from ptdq.inputs.examples import read_examples
    from ptdq.inputs.source import Source
    from ptdq.variants import registry
    from ptdq.variants.artifact import make_artifact
    from ptdq.variants.base import Settings
    from ptdq.variants.steps import told

    settings = Settings.from_json(request["settings"])
    source = Source.open(Path(request["source"]), settings)
    try:
        variant = registry.get(request["variant"])
        asked = CalibrationRequest(**request["calibration"])
        calibration = read_calibration(source, asked) if variant.calibrates else None
        examples = read_examples(source, asked.examples, asked.max_length)
        with told(report):
            make_artifact(variant, source, settings, calibration, Path(request["target"]), examples)
    except UserError as error:
        print(error, file=sys.stderr)
        return USER_ERROR_STATUS
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
