#!/bin/sh
# What a build needs beside the sources (build_inputs.txt), for build hosts that reach no registry:
#
#   build_inputs.sh fill CACHE            fetches every archive with npm, where npm reaches its registry
#   build_inputs.sh check CACHE           compares the archives for this machine with their sums
#   build_inputs.sh unpack CACHE TARGET   the same, then makes TARGET/deno, TARGET/deno_dir (a DENO_DIR with esbuild in
#                                         it) and TARGET/node_modules
set -eu

LIST=$(dirname "$0")/build_inputs.txt

# Calls "$1 PACKAGE VERSION SUM" for each package that a machine needs ("any" of them: all).
each_input() {
    grep -v '^#' "$LIST" | while read -r package version machine sum; do
        case $machine in
        any | "$2") "$1" "$package" "$version" "$sum" ;;
        *) [ "$2" != any ] || "$1" "$package" "$version" "$sum" ;;
        esac
    done
}

# Where npm pack puts an archive.
archive_of() {
    echo "$CACHE/$(echo "${1#@}" | tr / -)-$2.tgz"
}

check_input() {
    archive=$(archive_of "$1" "$2")
    if [ ! -r "$archive" ]; then
        echo "build_inputs.sh: $archive is missing; where npm reaches its registry, run: $0 fill $CACHE" >&2
        exit 1
    fi
    got=$(sha512sum "$archive" | cut -d ' ' -f 1)
    if [ "$got" != "$3" ]; then
        echo "build_inputs.sh: $archive has the SHA-512 $got, want $3" >&2
        exit 1
    fi
}

fill_input() {
    [ -r "$(archive_of "$1" "$2")" ] || npm pack --silent --pack-destination "$CACHE" "$1@$2"
    check_input "$@"
}

unpack_input() {
    check_input "$@"
    archive=$(archive_of "$1" "$2")
    case $1 in
    @deno/*)
        tar -xzf "$archive" -C "$TARGET" --strip-components=1 package/deno
        chmod 755 "$TARGET/deno"
        ;;
    @esbuild/*)
        # Where Deno puts the esbuild that it has fetched.
        mkdir -p "$TARGET/deno_dir/dl/esbuild-$2-1"
        tar -xzf "$archive" -O package/bin/esbuild >"$TARGET/deno_dir/dl/esbuild-$2-1/esbuild-${1#@esbuild/}"
        chmod 755 "$TARGET/deno_dir/dl/esbuild-$2-1/esbuild-${1#@esbuild/}"
        ;;
    *)
        mkdir -p "$TARGET/node_modules/$1"
        tar -xzf "$archive" -C "$TARGET/node_modules/$1" --strip-components=1
        ;;
    esac
}

usage() {
    echo "Usage: $0 fill|check CACHE, $0 unpack CACHE TARGET" >&2
    exit 1
}

CACHE=${2:-}
TARGET=${3:-}
case ${1:-}:$# in
fill:2)
    mkdir -p "$CACHE"
    each_input fill_input any
    ;;
check:2) each_input check_input "$(uname -m)" ;;
unpack:3)
    rm -rf "$TARGET"
    mkdir -p "$TARGET"
    each_input unpack_input "$(uname -m)"
    if [ ! -x "$TARGET/deno" ]; then
        echo "build_inputs.sh: build_inputs.txt names no Deno for $(uname -m)" >&2
        exit 1
    fi
    ;;
*) usage ;;
esac
