"""The bytes of a data file, wherever it is and however it is packed; they can be read more than once."""

from __future__ import annotations

import bz2
import codecs
import gzip
import http.client
import io
import lzma
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from urllib.parse import urlsplit

import fsspec

from ptdq.errors import UserError, disk_full, line_of
from ptdq.store.cache import private_cache
from ptdq.store.disk import check_regular

TYPES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
_PACKED = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd", ".zip": "zip"}
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    RuntimeError,
)
"""What reading a damaged file raises; ``RuntimeError``: an archive with a password."""
_SECONDS = 60.0
_GUESSES = ("utf-8", "gb18030", "utf-16", "big5")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Content:
    """A data file, unpacked.

    Attributes:
        name: what the user named.
        kind: one of :data:`TYPES`, in small letters.
        packed: how it was packed; empty where it was not.
        start: opens it at its beginning, with the packing undone.
    """

    name: str
    kind: str
    packed: str
    start: Callable[[], IO[bytes]]


@contextmanager
def reading(name: str) -> Iterator[None]:
    """What goes wrong within the block, in which a data file is read, is told in one line.

    Raises:
        UserError: as it says.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"data file {name}: no such file; --data takes a path or a URL") from error
    except IsADirectoryError as error:
        raise UserError(f"data file {name}: it is a directory; name the file in it") from error
    except ImportError as error:
        # fsspec names the package that a protocol needs.
        raise UserError(f"data file {name}: {line_of(error)}; install it with pip") from error
    except _UNREADABLE as error:
        if isinstance(error, OSError) and (full := disk_full(error)):
            raise full from error
        raise UserError(f"data file {name}: cannot be read ({line_of(error)})") from error


@contextmanager
def open_content(name: str) -> Iterator[Content]:
    """A data file, to be read as often as wanted within the block.

    What is not on this machine is fetched once, into a file without a name that ends with the process.

    Args:
        name: a path, ``http(s)://``, or any URL that fsspec opens.

    Raises:
        UserError: it is not there, cannot be opened or is of an unknown type.
    """
    kind, packed = _kind(name)
    with ExitStack() as stack:
        with reading(name):
            raw = _opener(name, kind, stack)
            with raw() as file:
                magic = file.read(8)
        if not magic:
            raise UserError(f"data file {name}: it is empty; it needs a row for each document")
        packing = next((how for start, how in _MAGIC.items() if magic.startswith(start)), "")
        if packed and packing != packed:
            raise UserError(f"data file {name}: it is not {packed}, as its ending says")
        yield Content(name, kind, packing, lambda: _unpack(name, raw(), packing))


def open_text(content: Content, encoding: str) -> io.TextIOWrapper:
    """The file as text, line ends as they are.

    Raises:
        UserError: there is no such encoding.
    """
    file = content.start()
    try:
        return io.TextIOWrapper(cast(Any, file), encoding=encoding, newline="")
    except LookupError as error:
        file.close()
        raise UserError(f"encoding '{encoding}': no such encoding") from error


def explain_encoding(content: Content, encoding: str) -> UserError:
    """What is wrong with a file that is not of this encoding: which byte, and which other would do."""
    fits = [other for other in _GUESSES if other != encoding and _first_wrong(content, other) is None]
    hint = f"; it decodes as {fits[0]}: try --encoding {fits[0]}" if fits else ""
    place, byte = _first_wrong(content, encoding) or (0, 0)
    return UserError(f"data file {content.name}: byte {place} (0x{byte:02x}) is not {encoding}{hint}")


def _first_wrong(content: Content, encoding: str) -> tuple[int, int] | None:
    """Offset and value of the first byte that cannot be decoded; None: all can."""
    decoder = codecs.getincrementaldecoder(encoding)()
    done = 0
    with content.start() as file:
        while True:
            chunk = file.read(_CHUNK)
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                return done - held + error.start, error.object[error.start]
            except UnicodeError:
                return done, chunk[0] if chunk else 0
            if not chunk:
                return None
            done += len(chunk)


def _kind(name: str) -> tuple[str, str]:
    """Type and packing, as the name's ending tells."""
    path = PurePosixPath(urlsplit(name).path if _of_the_web(name) else name)
    packed = _PACKED.get(path.suffix.lower(), "")
    suffix = PurePosixPath(path.stem).suffix if packed else path.suffix
    if suffix.lower() not in TYPES:
        raise UserError(
            f"{name}: unknown type of file '{suffix or path.name}'; known endings are "
            f"{', '.join(TYPES)}; a data set by its name needs --split"
        )
    return suffix.lower(), packed


def _of_the_web(name: str) -> bool:
    return name.startswith(("http://", "https://"))


def _opener(name: str, kind: str, stack: ExitStack) -> Callable[[], IO[bytes]]:
    if "://" not in name and "::" not in name:
        path = Path(name)
        if path.exists() and not path.is_dir():
            check_regular(path)  # it is read twice, and a pipe is not
        return lambda: path.open("rb")
    if kind == ".parquet" and not _of_the_web(name):
        return lambda: cast(IO[bytes], fsspec.open(name, "rb").open())  # read by parts
    kept = stack.enter_context(tempfile.TemporaryFile(dir=private_cache()))  # noqa: SIM115
    if _of_the_web(name):
        _fetch(name, kept)
    else:
        with fsspec.open(name, "rb") as file:
            shutil.copyfileobj(file, kept)
        kept.flush()
    return lambda: _again(kept)


def _again(kept: IO[bytes]) -> IO[bytes]:
    """The same file from its beginning; closing it closes nothing else."""
    kept.seek(0)
    return open(kept.fileno(), "rb", closefd=False)


def _fetch(name: str, target: IO[bytes]) -> None:
    """Get a file of the web, all of it."""
    try:
        with urllib.request.urlopen(name, timeout=_SECONDS) as answer:
            shutil.copyfileobj(answer, target)
            promised = answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        raise UserError(f"data file {name}: the server says {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException) as error:
        raise UserError(f"data file {name}: it cannot be fetched ({line_of(error)})") from error
    target.flush()
    if promised is not None and int(promised) != target.tell():
        raise UserError(f"data file {name}: {target.tell()} of {promised} bytes came; try again")


class _Unpacked(io.BufferedReader):
    """What unpacking gives; closing it closes the packed file as well."""

    def __init__(self, inner: Any, packed: IO[bytes]) -> None:
        super().__init__(inner, _CHUNK)
        self._packed = packed

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._packed.close()


def _unpack(name: str, file: IO[bytes], packed: str) -> IO[bytes]:
    if not packed:
        return file
    try:
        return _Unpacked(_inner(name, file, packed), file)
    except BaseException:
        file.close()
        raise


def _inner(name: str, file: IO[bytes], packed: str) -> Any:
    match packed:
        case "gzip":
            return gzip.GzipFile(fileobj=file)
        case "bzip2":
            return bz2.BZ2File(file)
        case "xz":
            return lzma.LZMAFile(file)
        case "zip":
            return _only_member(name, zipfile.ZipFile(file))
    from fsspec.compression import compr

    if "zstd" not in compr:
        raise UserError(f"data file {name}: zstd needs the package zstandard (pip install zstandard)")
    return compr["zstd"](file, mode="rb")


def _only_member(name: str, archive: zipfile.ZipFile) -> IO[bytes]:
    members = [m for m in archive.namelist() if not m.endswith("/") and not m.startswith("__MACOSX/")]
    if len(members) != 1:
        raise UserError(
            f"data file {name}: it is a zip of {len(members)} files ({', '.join(members[:3])}, …); "
            "take out the one with the documents"
        )
    return archive.open(members[0])
