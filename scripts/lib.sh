# Shared by the scripts: what they install, and how. Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PATH=$PATH:/usr/sbin

# Debian 12 and 13, Ubuntu 24.04
build_packages=(g++ cmake ninja-build pkg-config libhiredis-dev libssl-dev nlohmann-json3-dev
  libcpp-httplib-dev libcurl4-openssl-dev libhttp-parser-dev libsqlite3-dev libpq-dev)
server_packages=(redis-server postgresql nginx openssl curl)
test_packages=(libgtest-dev meson prometheus python3 ccache faketime mold libboost1.81-dev libasio-dev libuv1-dev libpoco-dev)
browser_packages=(chromium)
lint_packages=(clang-16 clang-format clang-tidy-16)
# Of debian/control, and what builds, looks at and tries a package
debian_packages=(debhelper dpkg-dev fakeroot doxygen libhiredis-dev lintian autopkgtest debootstrap ccache)
bench_packages=(libbenchmark-dev libpoco-dev python3)

say() { printf '\n== %s\n' "$*"; }

fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "needs root or sudo to run: $*"
  fi
}

is_installed() {
  dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# Installs those of the packages that are missing. A server that comes with a package is neither
# started nor enabled, and one that runs already is left alone.
install_packages() {
  local package missing=()
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  [[ ${#missing[@]} == 0 ]] && return
  command -v apt-get >/dev/null || fail "please install these (apt-get is not here): ${missing[*]}"
  say "installing ${missing[*]}"
  without_starting_services "${missing[@]}" || fail "apt-get could not install: ${missing[*]}"
  # Nor at the next boot.
  for package in "${missing[@]}"; do
    case $package in
      redis-server | nginx | prometheus*)
        if command -v systemctl >/dev/null; then as_root systemctl disable -q "$package" || true; fi
        ;;
    esac
  done
}

# A subshell, so that its traps put things back however it ends.
without_starting_services() (
  # Packages ask this program whether they may start their service.
  policy=/usr/sbin/policy-rc.d kept=$policy.before-websession
  restore() {
    as_root rm -f "$policy"
    if [[ -e $kept ]]; then as_root mv "$kept" "$policy"; fi
  }
  trap restore EXIT
  trap 'exit 130' INT TERM HUP
  if [[ -e $policy && ! -e $kept ]]; then as_root mv "$policy" "$kept"; fi
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod +x "$policy"
  as_root apt-get update -qq || true  # a broken extra source need not matter
  # NEEDRESTART_SUSPEND: Ubuntu would restart services that run already.
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get install -y -qq \
    --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >/dev/null
)

# Any Node will do that is there already, wherever it comes from.
install_node() {
  if ! command -v node >/dev/null; then install_packages nodejs; fi
  if ! command -v npm >/dev/null; then install_packages npm; fi
}

# Chrome will do as well.
install_browser() {
  if ! command -v chromium google-chrome >/dev/null; then install_packages "${browser_packages[@]}"; fi
}

# install_npm_packages DIRECTORY: those of its lock file, unless they are there. Fails when npm does.
install_npm_packages() {
  local lock=$1/package-lock.json installed=$1/installed.json
  if cmp -s "$lock" "$installed"; then return; fi
  say "installing npm packages in ${1#"$root"/}"
  (cd "$1" && npm ci --ignore-scripts --silent) && cp "$lock" "$installed"
}

# For what is compiled from here on, by consumers among the tests, too. What somebody has set stays.
compile_fast() {
  # A compiler cache that also serves a clone in another folder: what it caches knows no absolute
  # path of the tree, at the price of relative ones in debuggers and messages.
  if command -v ccache >/dev/null && [[ -z ${CMAKE_CXX_COMPILER_LAUNCHER:-} ]]; then
    export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
    # Without these, what includes precompiled headers is not cached.
    export CCACHE_SLOPPINESS=pch_defines,time_macros
  fi
  # A linker several times as fast.
  if command -v mold >/dev/null && [[ -z ${LDFLAGS:-} ]]; then export LDFLAGS=-fuse-ld=mold; fi
}

# configure PRESET
configure() {
  compile_fast
  (cd "$root" && cmake --preset "$1" >/dev/null)
}

# build PRESET [TARGET...]
build() {
  local preset=$1 target
  shift
  say "building ($preset)"
  configure "$preset"
  local targets=()
  for target in "$@"; do targets+=(--target "$target"); done
  (cd "$root" && cmake --build --preset "$preset" "${targets[@]}")
}
