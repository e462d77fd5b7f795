#!/bin/sh
# Installs the real servers and tools that the interop tests talk to, and clang, with which the engine's C is fuzzed,
# when that is possible (Debian, root).
# Without them those tests are skipped, loudly; with AUTHDNS_REQUIRE_PEERS=1 (as in CI) they fail.
set -eu

missing=""
need() { # command package
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}
need named bind9
need dig bind9-dnsutils
need delv bind9-dnsutils
need named-checkzone bind9-utils
need dnssec-signzone bind9-utils
need ldns-signzone ldnsutils
need nsd nsd
need knotd knot
need kdig knot-dnsutils
need kzonecheck knot-dnssecutils
need kzonesign knot-dnssecutils
need pdns_server pdns-server
ls /usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql >/dev/null 2>&1 || missing="$missing pdns-backend-sqlite3"
need unbound unbound
need clang clang
ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a >/dev/null 2>&1 || missing="$missing libclang-rt-dev"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Not installed:$missing. The tests that need them will be skipped." >&2
    echo "To run them all:  sudo apt-get install --no-install-recommends$missing" >&2
    exit 0
fi
echo "Installing$missing for the interop tests"
# The packages' services are not to be started on this machine: without systemd RUNLEVEL=1 sees to it, with systemd only
# a policy, made here where there is none yet and removed again.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
