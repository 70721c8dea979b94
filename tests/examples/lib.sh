# Shared by the tests of the example programs. Sourced, not run.
PATH=$PATH:/usr/sbin
export LC_ALL=C
failures=0

# check WHAT COMMAND...
check() {
  local what=$1
  shift
  if "$@"; then
    echo "ok: $what"
  else
    echo "FAILED: $what ($*)"
    failures=$((failures + 1))
  fi
}

equal() { [[ $1 == "$2" ]] || { echo "  is \"$1\", should be \"$2\"" && false; }; }

# Skips, or fails under CI, when a program is missing.
need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null && continue
    echo "$program is not installed"
    [[ ${CI:-} == true ]] && exit 1
    exit 77
  done
}

http() { curl -q --noproxy '*' -sS "$@"; }
json() { http -H 'Accept: application/json' "$@"; }
views() { sed -n 's/.*"views":\([0-9]*\).*/\1/p'; }

# readme_steps FILE: runs the commands of a README, and looks for what it says they print. $url is where the
# server listens. Comes last, since those define functions, too.
readme_steps() {
  local line
  while IFS= read -r line; do
    case $line in
      url=*) ;;  # ours is another port
      '# prints: '*) check "README: $line" grep -qF -- "${line#\# prints: }" "$work/printed" ;;
      *) eval "$line" >"$work/printed" 2>&1 ;;
    esac
  done < <(sed -n '/^```sh$/,/^```$/p' "$1" | grep -v '^```')
}
