"""What a process and all that it started take of the machine, on Linux."""

import psutil


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it started, and they."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def memory(process: psutil.Process) -> int:
    """Bytes of memory, of what it shares with others its share; 0 of one that has ended."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
