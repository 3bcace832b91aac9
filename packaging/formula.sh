#!/usr/bin/env bash
# packaging/formula.sh ARCHIVE URL HOMEPAGE: prints the Homebrew formula that builds the
# sources in ARCHIVE, which people download from URL.
set -euo pipefail

read -r sha256 _ < <(shasum -a 256 "$1")
sed -e "s|@URL@|$2|" -e "s|@SHA256@|$sha256|" -e "s|@HOMEPAGE@|$3|" -e 1d \
  "$(dirname "${BASH_SOURCE[0]}")/proglog.rb.in"
