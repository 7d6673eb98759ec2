#!/usr/bin/env bash
# Show that a stranger's machine will do: a fresh Debian 12 with Python, make and a C compiler, and a clone.
#
#   bash tools/chroot_test.sh                         make bench, then make test
#   bash tools/chroot_test.sh bash .ci/run            what CI runs, with Java and Maven installed on the way
#
# Needs root, and installs debootstrap if it is missing. The chroot gets this machine's ways to the package
# registries (apt sources, pip and Maven settings, certificates, resolv.conf) and nothing else of it; it is
# removed at the end. KEEP=1 keeps it.
set -euo pipefail
cd "$(dirname "$0")/.."
CLONE=$PWD
ROOT_HOME=/root # inside; ours may be elsewhere

if [ "${1:-}" != --inside ]; then
    [ "$(id -u)" = 0 ] || { echo "chroot_test: needs root (mount, chroot)" >&2; exit 1; }
    command -v debootstrap >/dev/null || { apt-get -qq update && apt-get -qq install -y debootstrap; }
    # A mount namespace of its own: whatever happens, no mount is left behind.
    exec unshare --mount --propagation private bash "$CLONE/tools/chroot_test.sh" --inside "$@"
fi
shift
TREE=$(mktemp -d "${TMPDIR:-/var/tmp}/fastkafka-chroot.XXXXXX")
chmod 755 "$TREE" # apt downloads as a user of its own

clean_up() {
    local mounted
    for mounted in dev proc sys; do
        umount --recursive --lazy "$TREE/$mounted" 2>/dev/null || true
    done
    # --one-file-system: should a mount have stayed, its content is not ours to remove.
    [ -n "${KEEP:-}" ] || rm -rf --one-file-system "$TREE"
}
trap clean_up EXIT

# The mirror that this machine uses: the first URI of its apt sources, in either of their formats.
mirror() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
        grep -v '^ *#' | grep -oE '(https?|file)://[^ ]+' | head -n 1
}

copy_if_there() { # FROM TO
    if [ -e "$1" ]; then mkdir -p "$(dirname "$TREE$2")" && cp -rL "$1" "$TREE$2"; fi
}

printf 'chroot_test: Debian 12 in %s\n' "$TREE"
debootstrap --variant=minbase --include=ca-certificates bookworm "$TREE" "$(mirror)" >"$TREE.log" 2>&1 ||
    { tail -n 20 "$TREE.log"; exit 1; }
rm -f "$TREE.log"

# Ways to the registries.
rm -f "$TREE/etc/apt/sources.list"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources /etc/resolv.conf /etc/hosts \
            /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    copy_if_there "$file" "$file"
done
for file in /etc/apt/apt.conf.d/*; do
    # hooks of programs that the chroot does not have would fail there
    grep -qE 'Post-Invoke|Pre-Invoke|Pre-Install' "$file" || copy_if_there "$file" "/etc/apt/apt.conf.d/$(basename "$file")"
done
copy_if_there "$HOME/.config/pip" "$ROOT_HOME/.config/pip"
# Maven's own package brings an /etc/maven/settings.xml, so the machine's goes where a user's is.
copy_if_there /etc/maven/settings.xml "$ROOT_HOME/.m2/settings.xml"
copy_if_there "$HOME/.m2/settings.xml" "$ROOT_HOME/.m2/settings.xml"

mkdir -p "$TREE/clone"
git -c safe.directory="$CLONE" archive HEAD | tar -xf - -C "$TREE/clone"

mount -t proc proc "$TREE/proc"
mount -t sysfs -o ro sysfs "$TREE/sys"
mount --rbind /dev "$TREE/dev" && mount --make-rslave "$TREE/dev"
mount -t tmpfs tmpfs "$TREE/dev/shm"

keep_environment=()
while IFS= read -r name; do
    # a folder of this machine is none of the chroot's
    [ "$name" = PIP_FIND_LINKS ] || keep_environment+=("$name=${!name}")
done < <(compgen -e | grep -E '^(PIP_|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|FASTKAFKA_REQUIRE_KAFKA)')

inside() {
    chroot "$TREE" env -i HOME="$ROOT_HOME" PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" LANG=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive "${keep_environment[@]}" bash -euc "cd /clone; $1"
}

# What the README asks for, and no more.
inside "apt-get -qq update && apt-get -qq install -y --no-install-recommends python3 make gcc libc6-dev >/dev/null"
if [ $# -gt 0 ]; then
    inside "$(printf '%q ' "$@")"
else
    inside "make bench"
    inside "make test"
fi
printf 'chroot_test: passed on a fresh Debian 12: %s\n' "${*:-make bench, make test}"
