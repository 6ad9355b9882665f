"""The scheduling of a load generator: it must not measure how late it wakes up itself."""

import ctypes
import os
import platform
import struct

SLICE_NS = 100_000
SYS_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}


def wake_at_once():
    """A short time slice for this process and its children (Linux 6.12; docs/decisions/0019): it takes
    the CPU when it wakes up, and not at the next tick. Kernels that do not know it ignore it."""
    number = SYS_SCHED_SETATTR.get(platform.machine())
    if number is None:
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = struct.pack("IIQiIQQQ", 48, os.SCHED_OTHER, 0, nice, 0, SLICE_NS, 0, 0)
    ctypes.CDLL(None, use_errno=True).syscall(number, 0, ctypes.create_string_buffer(attributes, 48), 0)
