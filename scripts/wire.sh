# Shared by the demos: HTTP as it goes over the wire. Sourced, not run. $work is a folder.

# request JAR ARGUMENTS...: an exchange by curl, with JAR's cookies. Prints the request's line and
# cookie, then the response; its parts are kept in $work/wire and $work/body.
request() {
  local jar=$1
  shift
  curl -q --noproxy '*' -sS -v -b "$work/$jar" -c "$work/$jar" -o "$work/body" "$@" \
    2>"$work/wire" || fail "no answer: $(grep '^curl:' "$work/wire")"
  tr -d '\r' <"$work/wire" | sed -n \
    -e 's/^> \(\(GET\|POST\) .*\)/  > \1/p' -e 's/^> \(Cookie: .*\)/  > \1/Ip' \
    -e 's/^< \(HTTP.*\)/  < \1/p' -e 's/^< \(Set-Cookie: .*\)/  < \1/Ip' \
    -e 's/^< \(Cache-Control: .*\)/  < \1/Ip' -e 's/^< \(Location: .*\)/  < \1/Ip'
  sed -e '/<title>/d' -e 's/<[^>]*>//g' -e '/^ *$/d' -e 's/^/  | /' "$work/body"
}

# cookie_of JAR: the session's id there; $cookie is the cookie's name.
cookie_of() { awk -v name="$cookie" '$6 == name { print $7 }' "$work/$1"; }
