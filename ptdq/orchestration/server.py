"""A temporary Prefect server for runs without one, which never outlives its run.

Prefect starts one itself where no API is set, and ends it when the interpreter exits: after SIGKILL,
SIGHUP or SIGTERM it stays, for good. Here the server holds the reading end of a pipe whose writing end
this process alone has. However this process ends, the kernel closes that end, and the server ends itself.
(The parent-death signal would not do: it is sent when the *thread* ends that started the child.)

It answers its run alone: other users of this machine lack its password, and pages of a browser too.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from ptdq.errors import RunFailed
from ptdq.host.terminal import stage
from ptdq.orchestration.api import not_answering
from ptdq.text import plain

HOST = "127.0.0.1"
_START_SECONDS = 300.0
"""A new database takes 15 s on a quiet machine, minutes on a busy one; a server that dies is noticed."""
_END_SECONDS = 5.0
_LOOK_SECONDS = 0.5


@contextlib.contextmanager
def api(meanwhile: Callable[[], object] = lambda: None) -> Iterator[str]:
    """Within the block there is an API: the one that is set, or a temporary server; gives its address.

    Args:
        meanwhile: what takes seconds as well, and can be done while a temporary server starts.

    Raises:
        RunFailed: the API that is set does not answer, or no server could be started.
    """
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if url:
        check_answers(url)
        yield url
    else:
        with _temporary_server(meanwhile) as address:
            yield address


def check_answers(url: str, seconds: float = 10.0) -> None:
    """Ask an API for its health, once, and for its version.

    Raises:
        RunFailed: no answer within so many seconds, or the server is of a version that a run cannot use.
            What it answers for its health does not matter here: one with authentication refuses the
            question, and is there.
    """
    import httpx

    spare_loopback_the_proxy()
    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=seconds, follow_redirects=True)
        version = _version(url, seconds)
    except httpx.TransportError as error:
        raise RunFailed(
            f"Prefect's API at {url} does not answer ({str(error) or type(error).__name__}): start its "
            "server (prefect server start), or unset PREFECT_API_URL to run without one"
        ) from error
    except (httpx.InvalidURL, httpx.HTTPError) as error:
        raise RunFailed(f"PREFECT_API_URL {url}: {error}") from error
    import prefect

    needed = _release(prefect.__version__)
    if version is not None and _release(version) < needed:
        raise RunFailed(
            f"Prefect's server at {url} is of version {plain(version, 40)}, and this needs "
            f"{'.'.join(map(str, needed))} or newer: upgrade it, or unset PREFECT_API_URL"
        )


def _version(url: str, seconds: float) -> str | None:
    """Version of a server; None where it tells none, as Prefect Cloud does not.

    Raises:
        RunFailed: it wants a password, and another or none is set here.
    """
    import httpx
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY

    password = PREFECT_API_AUTH_STRING.value()
    auth = None
    if password is not None:
        name, _, word = password.partition(":")
        auth = httpx.BasicAuth(name, word)
    answer = httpx.get(f"{url.rstrip('/')}/admin/version", timeout=seconds, auth=auth)
    if answer.status_code == 401 and PREFECT_API_KEY.value() is None:
        raise RunFailed(
            f"Prefect's API at {url} wants another password: "
            "set PREFECT_API_AUTH_STRING to that of the server"
        )
    try:
        told = answer.json() if answer.status_code == 200 else None
    except ValueError:
        return None
    return told if isinstance(told, str) and re.match(r"\d+\.\d+", told) else None


def _release(version: str) -> tuple[int, int]:
    """Major and minor number: a server may be newer than its clients, not older."""
    major, minor = version.split(".")[:2]
    return int(major), int(re.match(r"\d*", minor).group() or 0)  # type: ignore[union-attr]


def spare_loopback_the_proxy() -> None:
    """Have requests to this machine itself go past a proxy that is set, here and in children."""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(dict.fromkeys([*hosts, HOST, "localhost"]))


@contextlib.contextmanager
def _temporary_server(meanwhile: Callable[[], object]) -> Iterator[str]:
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    stage("starting Prefect's temporary server")
    spare_loopback_the_proxy()
    listening = socket.create_server((HOST, 0))
    origin = f"http://{HOST}:{listening.getsockname()[1]}"
    address, password = f"{origin}/api", f"ptdq:{secrets.token_urlsafe()}"
    here = {PREFECT_API_URL: address, PREFECT_API_AUTH_STRING: password}
    guarded = {
        "PREFECT_SERVER_API_AUTH_STRING": password,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origin,
    }
    read_end, write_end = os.pipe()
    try:
        server = _start(listening, read_end, guarded)
        try:
            listening.close()
            os.close(read_end)
            meanwhile()
            _wait(server, address)
            with temporary_settings(here), _environment({key.name: here[key] for key in here}):
                try:
                    yield address
                except Exception as error:
                    # Now: afterwards nobody knows which server was asked.
                    if not_answering(error) is None:
                        raise
                    raise RunFailed("Prefect's temporary server does not answer any more") from error
                finally:
                    _send_what_is_left()
        finally:
            _end(server)
    finally:
        os.close(write_end)


def _start(
    listening: socket.socket, read_end: int, guarded: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    from prefect.settings import get_current_settings

    own = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    return subprocess.Popen(
        [sys.executable, "-m", __name__, str(listening.fileno()), str(read_end)],
        env={**os.environ, **settings, **own, **guarded},
        stdin=subprocess.DEVNULL,
        pass_fds=(listening.fileno(), read_end),
        # Ctrl-C is for the run, which needs the API until it has sent its last state.
        start_new_session=True,
    )


def _wait(server: subprocess.Popen[bytes], address: str) -> None:
    """Until the server answers; it is listened for already, so that a request waits for it."""
    import httpx

    end = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{address}/health", timeout=_LOOK_SECONDS * 4).status_code == 200:
                return
        if server.poll() is not None:
            raise RunFailed(
                f"Prefect's temporary server ended with status {server.returncode} when it was started; "
                "what it said is above. Start one yourself (prefect server start) to see more"
            )
        if time.monotonic() > end:
            raise RunFailed(
                f"Prefect's temporary server did not start within {_START_SECONDS:g} s; end other "
                "programs, or start a server yourself (prefect server start) and set PREFECT_API_URL"
            )
        time.sleep(_LOOK_SECONDS)


def _send_what_is_left() -> None:
    """Logs and events go to the API in the background; Prefect would send the last ones at exit."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=_END_SECONDS, at_exit=False)


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Children that talk to the API find it."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def main(arguments: list[str]) -> None:
    """The server itself: ``python -m ptdq.orchestration.server LISTENING PIPE``."""
    listening, pipe = (int(argument) for argument in arguments)
    threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
    import uvicorn

    config = uvicorn.Config(
        "prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on"
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=listening)])


def _end_with_parent(pipe: int) -> None:
    os.read(pipe, 1)  # nothing is ever written: this returns at the end of the file
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_END_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
