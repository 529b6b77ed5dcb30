"""
The preload module exports the whole malloc family of the C library and every operator of C++, and nothing else.

Usage: symbols_test.py PRELOAD LIBRARY
"""

import glob
import re
import subprocess
import sys

FAMILY = """malloc calloc realloc reallocarray free cfree memalign aligned_alloc posix_memalign valloc pvalloc
            malloc_usable_size malloc_trim mallinfo mallinfo2 malloc_info malloc_stats mallopt free_sized
            free_aligned_sized""".split()

# Exported by the C library under names that look like these, but no part of the family that programs call.
NOT_REPLACED = {"__libc_freeres", "__libc_alloca_cutoff", "__libc_alloc_buffer_alloc_array", "__malloc_hook",
                "malloc_get_state", "malloc_set_state", "mcheck"}
FAMILY_PATTERN = re.compile(r"^(__libc_|__)?(malloc|calloc|realloc|reallocarray|free|cfree|memalign|aligned_alloc|"
                            r"posix_memalign|valloc|pvalloc|mallinfo2?|mallopt|malloc_\w+)$")
# What the module replaces besides, and the public interface that both builds have.
BESIDES = set("""_exit _Exit pthread_create dlclose
                 sigaction signal bsd_signal ssignal sysv_signal __sysv_signal sigset sigignore siginterrupt
                 sigprocmask pthread_sigmask
                 execve execv execvp execvpe execveat fexecve execl execlp execle posix_spawn posix_spawnp
                 tagpool_verify_range tagpool_verify_buffer""".split())


def exported(path):
    done = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True)
    rows = (line.split() for line in done.stdout.splitlines())
    return {name.split("@")[0] for _, kind, name in rows if kind in "TWiV"}


def c_library():
    done = subprocess.run(["ldd", "/bin/true"], capture_output=True, text=True, check=True)
    return re.search(r"libc\.so\.6 => (\S+)", done.stdout)[1]


def operators():
    """Every new and delete that the C++ library itself has."""
    found = glob.glob("/usr/lib/*/libstdc++.so.6") + glob.glob("/lib/*/libstdc++.so.6")
    return {name for name in exported(found[0]) if re.match(r"^_Z(nw|na|dl|da)[a-zA-Z]", name)} if found else set()


def main():
    preload, library = map(exported, sys.argv[1:])
    wanted = set(FAMILY) | {n for n in exported(c_library()) if FAMILY_PATTERN.match(n)} - NOT_REPLACED | operators()
    public = {name for name in library if name.startswith("tagpool_")}
    missing = sorted((wanted | public) - preload)
    more = sorted(preload - wanted - public - BESIDES)
    more = [name for name in more if not FAMILY_PATTERN.match(name) and not re.match(r"^_Z(nw|na|dl|da)", name)]
    stray = sorted(library - public)
    print(f"{len(preload)} exported by the module, {len(public)} functions of the library")
    for what, names in ("missing", missing), ("more than wanted", more), ("stray in the library", stray):
        if names:
            print(f"FAILED: {what}:", *names)
    sys.exit(1 if missing or more or stray or len(public) < 10 else 0)


main()
