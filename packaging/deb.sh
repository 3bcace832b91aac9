#!/usr/bin/env bash
# packaging/deb.sh: builds the Debian package with cargo-deb, checks that it contains all
# files, and prints its path.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packaging/assets.sh
package=$(cargo deb --no-build --strip --quiet | tail -n 1)
contents=$(dpkg-deb --contents "$package")
for path in usr/bin/proglog \
  usr/share/bash-completion/completions/proglog \
  usr/share/zsh/vendor-completions/_proglog \
  usr/share/fish/vendor_completions.d/proglog.fish \
  usr/share/man/man1/proglog.1.gz \
  $(cd target/assets/man && printf 'usr/share/man/man1/%s.gz\n' *.1); do
  if ! grep -qF "./$path" <<<"$contents"; then
    echo "$package: $path is missing" >&2
    exit 1
  fi
done
echo "$package"
