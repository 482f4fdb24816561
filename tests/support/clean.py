"""What a user of an export does, in a process that has heard of nothing else.

Run as ``python -I -S clean.py DIR SITE`` with the documents as JSON on standard input. Imports nothing
of this repository: DIR is the export, SITE holds the packages that may be found.
"""

from __future__ import annotations

import json
import sys

sys.path[:0] = sys.argv[1:]

from load import Classifier  # type: ignore[import-not-found]  # noqa: E402

texts = json.load(sys.stdin)
classifier = Classifier()
found = {
    "logits": [classifier.logits([text])[0].tolist() for text in texts],
    "classes": [classifier.classify([text])[0] for text in texts],
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
}
print(json.dumps(found))
