#!/bin/sh
# Install into an empty folder, and use what lies there as a stranger would: the program, the preload module by its
# side, and the library through pkg-config and CMake.
set -eu
build=${1:?usage: run.sh BUILD-DIR SOURCE-DIR}
source=${2:?usage: run.sh BUILD-DIR SOURCE-DIR}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

check() {
    what=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok - $what"
    else
        echo "not ok - $what"
        sed 's/^/  /' "$work/log"
        failed=1
    fi
}

meson install -C "$build" --no-rebuild --destdir "$work/root" >"$work/log"
prefix=$work/root$(meson introspect "$build" --buildoptions |
    python3 -c 'import json,sys; print([o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"][0])')
library=$(dirname "$(find "$prefix" -name libtagpool.so)")
PKG_CONFIG_PATH=$library/pkgconfig
PKG_CONFIG_SYSROOT_DIR=$work/root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR

# Linked against the library, and told where it lies.
build_consumer() {
    # shellcheck disable=SC2046
    cc -o "$work/consumer" "$source/tests/install/consumer.c" $(pkg-config --cflags --libs tagpool) -Wl,-rpath,"$library"
}

build_with_cmake() {
    mkdir -p "$work/cmake"
    cp "$source/tests/install/consumer.c" "$work/cmake/"
    cat >"$work/cmake/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.18)
project(consumer C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(tagpool REQUIRED IMPORTED_TARGET tagpool)
add_executable(consumer consumer.c)
target_link_libraries(consumer PkgConfig::tagpool)
CMAKE
    cmake -S "$work/cmake" -B "$work/cmake/build" && cmake --build "$work/cmake/build"
}

# One engine under `run`: the loader takes the module that is there for the library that is asked for.
one_engine() {
    "$prefix/bin/tagpool" run -- sh -c 'cat /proc/self/maps >/dev/null; exec "$0"' "$work/consumer" &&
        LD_DEBUG=libs "$prefix/bin/tagpool" run -- "$work/consumer" 2>&1 | grep -c 'calling init.*libtagpool' | grep -qx 1
}

library_needs_libc_alone() {
    ! readelf -d "$library/libtagpool.so" "$library/tagpool/libtagpool-preload.so" | grep NEEDED | grep -v 'libc\.so'
}

# The command and its page are Windows' own name; Google's library has headers, a library and package files by it.
nothing_of_googles() {
    ! find "$prefix" -name 'gflags*' -o -name 'libgflags*' | grep -v -e '/bin/gflags$' -e '/man1/gflags.1$' | grep .
}

check "pkg-config finds it and a program builds" build_consumer
check "the program runs" "$work/consumer"
check "the program runs under tagpool run, with one engine" one_engine
if command -v cmake >/dev/null; then
    check "a CMake project builds" build_with_cmake
    check "and runs" env LD_LIBRARY_PATH="$library" "$work/cmake/build/consumer"
else
    echo "skipped - a CMake project builds (no cmake)"
fi
check "the installed run finds the installed module" "$prefix/bin/tagpool" run -- /bin/ls /
check "env names a module that is there" sh -c "$prefix/bin/tagpool env | grep -q '^LD_PRELOAD=/.*libtagpool-preload.so'"
check "poolmon is installed" sh -c "$prefix/bin/poolmon -h | grep -qi poolmon"
check "verifier is installed" sh -c "$prefix/bin/verifier run --help | grep -q -e --special-pool"
check "verifier answers" sh -c "XDG_CONFIG_HOME=$work $prefix/bin/verifier /querysettings | grep -q 'Special pool: Disabled'"
check "gflags answers" sh -c "XDG_CONFIG_HOME=$work $prefix/bin/gflags /p | grep -q 'No application has page heap'"
check "library and module need libc alone" library_needs_libc_alone
check "nothing has Google's names" nothing_of_googles
check "man pages are installed" test -f "$prefix/share/man/man1/tagpool.1"
check "the verifier's page has the stops" grep -q 'A freed block was used' "$prefix/share/man/man7/tagpool-verifier.7"
exit "$failed"
