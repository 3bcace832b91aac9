#!/usr/bin/env bash
# packaging/assets.sh [BINARY]: writes the completions and the man pages of BINARY
# (default: a release build) to target/assets, where the metadata of the Debian package
# in Cargo.toml expects them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

binary=${1:-}
if [[ -z $binary ]]; then
  cargo build --release --bin proglog
  binary=${CARGO_TARGET_DIR:-target}/release/proglog
fi
rm -rf target/assets
mkdir -p target/assets
"$binary" completions bash >target/assets/proglog.bash
"$binary" completions zsh >target/assets/_proglog
"$binary" completions fish >target/assets/proglog.fish
"$binary" man --out target/assets/man
pages=(target/assets/man/*)
echo "target/assets: completions for bash, zsh and fish, ${#pages[@]} man pages"
