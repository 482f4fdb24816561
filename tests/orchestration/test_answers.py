"""An API that is set: what is wrong with it is one line within seconds, and a proxy is not asked."""

from __future__ import annotations

import base64
import http.server
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import prefect
import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, temporary_settings

from ptdq.errors import RunFailed
from ptdq.orchestration.server import check_answers

PASSWORD = "ptdq:right"


@contextmanager
def served(version: object, password: str | None = None) -> Iterator[str]:
    """Something that answers as Prefect's server of a version does."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            needed = password and f"Basic {base64.b64encode(password.encode()).decode()}"
            free = self.path == "/api/health" or not needed
            allowed = free or self.headers["Authorization"] == needed
            known = self.path in ("/api/health", "/api/admin/version")
            self.send_response(404 if not known else 200 if allowed else 401)
            self.end_headers()
            self.wfile.write(json.dumps(True if self.path == "/api/health" else version).encode())

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api"
        finally:
            server.shutdown()
            thread.join()


def complaint(url: str, seconds: float = 10) -> str:
    with pytest.raises(RunFailed) as caught:
        check_answers(url, seconds)
    (line,) = str(caught.value).splitlines()
    assert url in line
    return line


@pytest.mark.parametrize("version", [prefect.__version__, "3.99.0", "4.0.0", None, {"detail": "none"}])
def test_a_server_as_new_or_of_no_version_will_do(version: object) -> None:
    with served(version) as url:
        check_answers(url)


@pytest.mark.parametrize("version", ["2.20.1", "3.0.11", "0.5.0+local"])
def test_an_old_server_is_one_line(version: str) -> None:
    with served(version) as url:
        assert f"is of version {version}" in complaint(url)


def test_a_wrong_password_is_one_line() -> None:
    with served(prefect.__version__, PASSWORD) as url:
        assert "PREFECT_API_AUTH_STRING" in complaint(url)
        with temporary_settings({PREFECT_API_AUTH_STRING: "ptdq:wrong"}):
            assert "PREFECT_API_AUTH_STRING" in complaint(url)
        with temporary_settings({PREFECT_API_AUTH_STRING: PASSWORD}):
            check_answers(url)


def test_an_api_that_accepts_and_never_answers_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        line = complaint(f"http://127.0.0.1:{silent.getsockname()[1]}/api", seconds=1)
    assert "does not answer" in line
    assert time.monotonic() - started < 8


@pytest.mark.parametrize("others", [None, "internal.example"])
def test_a_proxy_is_not_asked_for_loopback(others: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        # A proxy that is not there: what is sent to it fails.
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        if others is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, others)
    with served(prefect.__version__) as url:
        check_answers(url)

    assert "127.0.0.1" in os.environ["NO_PROXY"].split(",")
    assert others is None or others in os.environ["NO_PROXY"].split(",")
