"""Memory that was freed, given back to the system."""

import ctypes
import sys

# glibc keeps what threads have freed, each for itself; other systems' allocators give back by themselves
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_trim, _option = getattr(_libc, "malloc_trim", None), getattr(_libc, "mallopt", None)

LARGE = 4 * 2**20  # bytes; a photo as it is kept has three million
MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h


def give_back() -> None:
    """Give what malloc keeps of freed memory back to the system: a millisecond, or some tens where it is a gigabyte."""
    if _trim is not None:
        _trim(0)


def give_back_large_blocks() -> None:
    """Have malloc give blocks of `LARGE` and more back as soon as they are freed, from now on.

    Left to itself glibc keeps ever larger ones, up to 32 MB, once such a one was freed; a server that takes files of that
    size would hold several of them in each of its threads' arenas.
    """
    if _option is not None:
        _option(MMAP_THRESHOLD, LARGE)
