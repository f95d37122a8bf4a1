# shellcheck shell=bash
# Shared by the scripts: where the project is, how to speak, how to install what is missing.
# Sourced, not run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null 2>&1; then sudo "$@"
  else die "need root or sudo to run: $*"
  fi
}

# Distribution packages, each with the test that shows it is there already. $@: those that matter; none: all.
missing_packages() {
  local package probe
  while read -r package probe; do
    [ $# -eq 0 ] || [[ " $* " == *" $package "* ]] || continue
    eval "$probe" >/dev/null 2>&1 || printf '%s ' "$package"
  done <<'EOF'
openjdk-17-jdk-headless javac_is_17_or_later
maven command -v mvn
build-essential command -v cc
pkg-config command -v pkg-config
libpcsclite-dev pkg-config --exists libpcsclite
pcscd command -v pcscd
vsmartcard-vpcd vpcd_is_there
opensc command -v opensc-tool && command -v pkcs11-tool
openssl command -v openssl
softhsm2 command -v softhsm2-util
util-linux command -v flock
procps command -v pgrep
EOF
}

# A removed package leaves its configuration behind: the driver it names must be there too.
vpcd_is_there() {
  local driver
  driver=$(sed -nE 's/^LIBPATH[[:space:]]+//p' /etc/reader.conf.d/vpcd) && [ -e "$driver" ]
}

javac_major() { javac -version 2>&1 | sed -nE 's/^javac ([0-9]+).*/\1/p'; }

javac_is_17_or_later() {
  local major
  major=$(javac_major)
  [ -n "$major" ] && [ "$major" -ge 17 ]
}

# Installs what is missing (of $@, or at all) by apt; a machine without apt gets the list of names.
ensure_packages() {
  local missing
  missing=$(missing_packages "$@")
  [ -z "$missing" ] && return 0
  command -v apt-get >/dev/null 2>&1 || die "please install: $missing"
  say "installing: $missing"
  as_root apt-get update -qq
  # Some releases have no JDK 17 any more; their default one is later.
  apt-cache show openjdk-17-jdk-headless >/dev/null 2>&1 ||
    missing=${missing/openjdk-17-jdk-headless/default-jdk-headless}
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
  missing=$(missing_packages "$@")
  [ -z "$missing" ] || die "still missing after the installation: $missing"
}

# The Rust toolchain is named, not installed: people choose where theirs comes from.
ensure_rust() {
  local want have
  want=$(sed -nE 's/^rust-version = "([0-9.]+)"/\1/p' Cargo.toml | head -n 1)
  command -v cargo >/dev/null 2>&1 ||
    die "no Rust toolchain: install Rust $want or later, for example with rustup (https://rustup.rs), then run this again"
  have=$(rustc --version | sed -nE 's/^rustc ([0-9]+\.[0-9]+).*/\1/p')
  printf '%s\n%s\n' "$want" "$have" | sort -V -C ||
    die "Rust $have is too old: $want or later is needed (rustup update)"
}

# The applets and the jCardSim runtime, by Maven. $1: install (with the JUnit tests) or quick (without).
build_java() {
  local tests=()
  [ "$1" = quick ] && tests=(-DskipTests)
  mvn -B -q -f applet/pom.xml install "${tests[@]}"
  mvn -B -q -f jcardsim-tests/pom.xml install "${tests[@]}"
}
