"""Which kinds of guards (src/guard.h) this system has; and settings of the verifier for each of them."""

import ctypes
import mmap
import os

MADV_GUARD_INSTALL = 102
USERFAULTFD = {"x86_64": 323, "aarch64": 282}
UFFD_USER_MODE_ONLY = 1


def has_madvise():
    libc = ctypes.CDLL(None, use_errno=True)
    space = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(space))
    return libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), MADV_GUARD_INSTALL) == 0


def has_userfault():
    libc = ctypes.CDLL(None, use_errno=True)
    number = USERFAULTFD.get(os.uname().machine)
    fd = libc.syscall(number, os.O_CLOEXEC | os.O_NONBLOCK | UFFD_USER_MODE_ONLY) if number else -1
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def kinds():
    have = {"madvise": has_madvise(), "userfault": has_userfault(), "protect": True}
    return [kind for kind in have if have[kind]]


def each(words):
    """The words as they are, or with guard=each for each kind there is."""
    if "guard=each" not in words:
        return [words]
    return [words.replace("guard=each", f"guard={kind}") for kind in kinds()]
