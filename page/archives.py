"""The files of a ZIP, as many and as large as the page takes."""

import io
import zipfile
from collections.abc import Iterator

MAX_FILE, MAX_ALL = 50_000_000, 200_000_000  # bytes, of one file and of all


class ArchiveError(ValueError):
    """A file of an archive, or all of it, cannot be read."""


def is_archive(data: bytes) -> bool:
    """Whether these are the bytes of a ZIP."""
    return data.startswith(b"PK\x03\x04")


def unpacked(data: bytes, most: int) -> Iterator[tuple[str, bytes | ArchiveError]]:
    """The name and content of each file in a ZIP, in its order; or why it cannot be read.

    Args:
        data: Of the ZIP.
        most: Files to take; what is left out is said of the first one.

    Raises:
        ArchiveError: It is no ZIP, or a damaged one.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ArchiveError(f"The ZIP cannot be read: {error}.") from error
    files = [file for file in archive.infolist() if not file.is_dir() and not file.filename.startswith("__MACOSX/")]
    left = MAX_ALL
    for number, file in enumerate(files):
        if number >= most:
            yield file.filename, ArchiveError(f"At most {most} files are taken at once; this one and those after it are not.")
            return
        content = _read(archive, file, min(MAX_FILE, left))
        left -= len(content) if isinstance(content, bytes) else 0
        yield file.filename, content


def _read(archive: zipfile.ZipFile, file: zipfile.ZipInfo, most: int) -> bytes | ArchiveError:
    """A file's bytes; no more are unpacked than are taken, whatever the archive says of its size."""
    try:
        with archive.open(file) as opened:
            content = opened.read(most + 1)
    except Exception as error:  # noqa: BLE001 - a password, a damaged file, an unknown compression: of many kinds
        return ArchiveError(f"The file cannot be unpacked: {error}.")
    return ArchiveError(f"The file has more than {most:,} bytes.") if len(content) > most else content
