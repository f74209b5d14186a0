"""Memory that was freed, given back to the system."""

import ctypes
import sys

# glibc keeps what threads have freed, each for itself; other systems' allocators give back by themselves
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def give_back() -> None:
    """Give what malloc keeps of freed memory back to the system: a millisecond, or some tens where it is a gigabyte."""
    if _trim is not None:
        _trim(0)
