"""The child process of a study: ``python -m ptdq.sensitivity.child request.json``.

One process, pinned to one core with one thread as a worker is: a module in float is compared with
the same module in int8, in turns, so that both see the same core at the same time.
"""

from __future__ import annotations

import sys
from dataclasses import fields

from ptdq.errors import UserError
from ptdq.host.child import die_with_parent, read_request
from ptdq.host.machine import affinity_of_threads, pin
from ptdq.sensitivity.request import StudyRequest

USER_ERROR_STATUS = 2


def main(arguments: list[str]) -> int:
    """Do the study that the request describes; status 2 for an error that the user can mend."""
    die_with_parent()
    values, report = read_request(arguments)
    request = StudyRequest(**{field.name: values[field.name] for field in fields(StudyRequest)})
    if request.core is not None:
        pin(request.core)
    # Imported once the process is pinned: libraries start threads.
    import torch

    from ptdq.sensitivity.study import study

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    torch.backends.quantized.engine = request.settings["engine"]
    if request.core is not None and affinity_of_threads() != [request.core]:
        print(
            f"refused: runs on cores {affinity_of_threads()}, asked for {request.core}", file=sys.stderr
        )
        return 1
    try:
        study(request, report)
    except UserError as error:
        print(error, file=sys.stderr)
        return USER_ERROR_STATUS
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
