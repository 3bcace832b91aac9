#!/usr/bin/env bash
# packaging/static.sh [BINARY]: packs BINARY (default: a release build with the default
# features) with completions, man pages and documents into
# target/proglog-VERSION-TARGET.tar.gz, tries what was packed, and prints its path. On Linux
# the binary must be static: it needs no file of the system, and starts in an empty chroot.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=$(rustc -vV | sed -n 's/^host: //p')
binary=${1:-}
if [[ -z $binary ]]; then
  # Only the last link decides: the libraries are those of an ordinary build.
  static=()
  [[ $target != *-linux-* ]] || static=(-- -C target-feature=+crt-static)
  cargo rustc --release --bin proglog ${static[@]+"${static[@]}"} >&2
  binary=${CARGO_TARGET_DIR:-target}/release/proglog
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packaging/assets.sh "$binary" >&2
name=proglog-$("$binary" --version | sed -n '1s/^proglog \([^ ]*\).*/\1/p')-$target
dir=$work/$name
mkdir -p "$dir"/completions "$dir"/man
cp "$binary" "$dir/proglog"
strip "$dir/proglog"
cp target/assets/{proglog.bash,_proglog,proglog.fish} "$dir/completions"
cp target/assets/man/* "$dir/man"
cp README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT "$dir"
archive=$work/$name.tar.gz
tar -czf "$archive" -C "$work" "$name"

# What the archive contains, with nothing else around it.
root=$work/root
mkdir "$root"
tar -xzf "$archive" -C "$root" --strip-components=1
run=("$root/proglog")
log=$root/log
if [[ $target == *-linux-* ]]; then
  if readelf -l "$root/proglog" | grep -q INTERP; then
    echo "$name: the binary is not static" >&2
    exit 1
  fi
  if chroot "$root" /proglog --version >&2; then
    run=(chroot "$root" /proglog)
    log=/log
  else
    echo 'SKIPPED, the empty chroot: not permitted here' >&2
  fi
fi
printf 'a\nb\n' | "${run[@]}" append "$log" >&2
if [[ $("${run[@]}" read "$log" --offset 1) != b ]]; then
  echo "$name: the binary does not read what it wrote" >&2
  exit 1
fi
"${run[@]}" verify "$log" >&2
mv "$archive" target
echo "target/$name.tar.gz"
