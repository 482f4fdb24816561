"""A model hub on loopback, as far as an upload by the hub's own library asks for one."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_of_this_test"


@dataclass
class Hub:
    """What it was given.

    Attributes:
        address: of the server.
        made: repository to whether it is private.
        files: content by path in the repository.
        cards: texts of README.md that were given for validation.
    """

    address: str = ""
    made: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    cards: list[str] = field(default_factory=list)


@contextmanager
def hub() -> Iterator[Hub]:
    """A hub that takes everything whose token is :data:`TOKEN`."""
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._answer(403, {"error": "this token may not write here"})
            elif self.path == "/api/repos/create":
                asked = json.loads(body)
                name = f"{asked['organization']}/{asked['name']}"
                state.made[name] = asked.get("visibility", "")
                self._answer(200, {"url": f"{state.address}/{name}"})
            elif self.path == "/api/validate-yaml":
                state.cards.append(json.loads(body)["content"])
                self._answer(200, {"errors": [], "warnings": []})
            elif "/preupload/" in self.path:
                asked_files = json.loads(body)["files"]
                self._answer(
                    200,
                    {
                        "files": [
                            {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                            for f in asked_files
                        ]
                    },
                )
            elif "/commit/" in self.path:
                for line in body.splitlines():
                    entry = json.loads(line)
                    if entry["key"] == "file":
                        value = entry["value"]
                        state.files[value["path"]] = base64.b64decode(value["content"])
                name = self.path.split("/commit/")[0].removeprefix("/api/models/")
                oid = "0" * 40
                url = f"{state.address}/{name}/commit/{oid}"
                self._answer(200, {"success": True, "commitUrl": url, "commitOid": oid})
            else:
                self._answer(404, {"error": f"no such place: {self.path}"})

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nothing is written to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
