#!/bin/sh
# Fetches the pinned source packages by hash and builds each once into a prefix outside the tree.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=${1:?usage: build.sh PREFIX}
work=$prefix/work
mkdir -p "$prefix/include" "$prefix/lib" "$prefix/stamps" "$work"

fetch() { # name package sha256 -> the unpacked folder's path
    # lupa asks for Cython, which would translate the whole package only to tell its name; the system's setuptools
    # tells it in seconds. The other two need a newer setuptools than Debian 12's, which pip's isolation fetches.
    isolation=
    [ "$1" != luajit ] || isolation=--no-build-isolation
    rm -rf "${work:?}/$1"
    mkdir -p "$work/$1"
    printf '%s --hash=sha256:%s\n' "$2" "$3" >"$work/$1.req"
    # shellcheck disable=SC2086
    LUPA_NO_BUNDLE=true /usr/bin/python3 -m pip download -q --no-deps --no-binary :all: $isolation \
        --require-hashes --no-cache-dir -d "$work/$1" -r "$work/$1.req" >&2 || return 1
    tar -xzf "$work/$1"/*.tar.gz -C "$work/$1"
    echo "$work/$1"/*/
}

build_luajit() { # folder
    cd "$1"
    [ ! -f src/luajit_relver.txt ] || cp src/luajit_relver.txt .relver
    make -s -C src clean >/dev/null 2>&1 || true
    make -s -j2 -C src BUILDMODE=static XCFLAGS="-DLUAJIT_ENABLE_CHECKHOOK" CFLAGS="-fPIC" libluajit.a >/dev/null
    cp src/libluajit.a "$prefix/lib/"
    for header in lua.h lauxlib.h lualib.h luaconf.h luajit.h; do cp "src/$header" "$prefix/include/"; done
}

build_llhttp() {
    cd "$1"
    for file in src/*.c; do cc -O2 -g -fPIC -Iinclude -c "$file" -o "$(basename "$file" .c).o"; done
    ar rcs "$prefix/lib/libllhttp.a" ./*.o
    cp include/llhttp.h "$prefix/include/"
}

build_yyjson() {
    cd "$1"
    cc -O2 -g -fPIC -c yyjson.c -o yyjson.o
    ar rcs "$prefix/lib/libyyjson.a" yyjson.o
    cp yyjson.h "$prefix/include/"
}

build_hiredis() {
    cd "$1"
    # The sources name their own headers; what is installed is namespaced, so that read.h collides with nothing.
    for file in alloc async hiredis net read sds ssl sockcompat; do
        cc -O2 -g -fPIC -c "$file.c" -o "$file.o"
    done
    ar rcs "$prefix/lib/libhiredis.a" alloc.o async.o hiredis.o net.o read.o sds.o ssl.o sockcompat.o
    mkdir -p "$prefix/include/hiredis"
    cp alloc.h async.h hiredis.h hiredis_ssl.h read.h sds.h "$prefix/include/hiredis/"
}

grep -v '^#' "$here/sources.txt" | while read -r name version licence package sha folder; do
    stamp=$prefix/stamps/$name-$sha
    [ ! -e "$stamp" ] || continue
    echo "building $name $version ($licence) from $package"
    root=$(fetch "$name" "$package" "$sha")
    (build_"$name" "$root$folder")
    rm -rf "${work:?}/$name" "$work/$name.req"
    touch "$stamp"
done
