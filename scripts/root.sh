# A bare Debian in a folder, for what is tried there. Sourced after lib.sh, not run. $folder is the root.

certificates=/etc/ssl/certs/ca-certificates.crt

# make_root SUITE: by debootstrap, unless it is there. DEBIAN_MIRROR=URL takes another mirror than its own.
make_root() {
  if [[ -e $folder/made ]]; then return; fi
  install_packages debootstrap
  say "making a bare Debian ($1) in ${folder#"$root"/}"
  as_root rm -rf "$folder"
  mkdir -p "$folder"
  as_root debootstrap --variant=minbase "$1" "$folder" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} \
    >"$folder.log" 2>&1 || fail "debootstrap failed: see ${folder#"$root"/}.log"
  as_root touch "$folder/made"
}

# Names are resolved, and certificates trusted, as here.
share_network() {
  as_root cp -L /etc/resolv.conf "$folder/etc/resolv.conf"
  if [[ -e $certificates ]]; then as_root install -D -m 644 "$certificates" "$folder$certificates"; fi
}

# The files that git knows, with their times, so that only what has changed is built again.
copy_source() {
  as_root rm -rf "$folder/source"
  as_root mkdir -p "$folder/source" "$folder/build"
  (cd "$root" && git ls-files -z | tar --create --null --files-from=- --ignore-failed-read) |
    as_root tar --extract --directory="$folder/source"
  as_root ln -s /build "$folder/source/build"
  share_network
}

# inside COMMAND [ARGUMENT...]: in the root, with mounts and processes of its own, which end with it.
inside() {
  # shellcheck disable=SC2016
  as_root unshare --mount --pid --fork --kill-child bash -c '
    mount -t proc proc "$0/proc"
    mount --rbind /dev "$0/dev"
    mount -t tmpfs tmpfs "$0/dev/shm"
    exec env -i CI=true HOME=/root NODE_EXTRA_CA_CERTS='"$certificates"' LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
      ${http_proxy:+http_proxy="$http_proxy"} ${GTEST_FILTER:+GTEST_FILTER="$GTEST_FILTER"} \
      chroot "$0" "$@"' "$folder" "$@"
}
