#!/usr/bin/env bash
# Make the deb of this machine's architecture, install it below an empty root, use
# it there, and remove it. Needs dpkg; as an ordinary user also user namespaces.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
	exec unshare -Ur "$0" "$@"
fi
arch=$(go env GOARCH)
DIST_ARCHES=$arch DIST_FORMATS='deb rpm apk' packaging/dist >/dev/null
(cd dist && sha256sum --quiet -c SHA256SUMS)
for format in deb rpm apk; do
	[ "$(find dist -name "*.$format" | wc -l)" = 1 ] || { echo "no $format"; exit 1; }
done

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
admin=$root/var/lib/dpkg
mkdir -p "$admin"/{info,updates,triggers}
touch "$admin"/{status,available}
package() { dpkg --root="$root" --force-script-chrootless --force-not-root --log=/dev/null "$@" >/dev/null; }

package -i dist/*.deb
dpkg --root="$root" -s mptcpctl | grep '^Status: install ok installed' >/dev/null
program=$root/usr/bin/mptcpctl
"$program" version
# Go reads the version from a repository, not from a linked worktree of one.
if [ -d .git ] && "$program" version | grep devel; then
	echo 'the version is not known'
	exit 1
fi
# Static, and used under all of its names.
! ldd "$program" >/dev/null 2>&1
[ "$(readlink "$root/usr/bin/ip-mptcp")" = /usr/bin/mptcpctl ]
"$program" endpoint show >/dev/null
ln -s "$program" "$root/ip-mptcp"
"$root/ip-mptcp" mptcp limits | grep '^add_addr_accepted ' >/dev/null
"$program" lab >/dev/null
# What the quick program has not, it becomes the whole one for.
"$program" top --plain --count 1 >/dev/null
mv "$root/usr/libexec/mptcpctl/mptcpctl-full" "$root/full"
if said=$("$program" top --plain --count 1 2>&1); then exit 1; fi
grep 'needs the program mptcpctl-full' <<<"$said" >/dev/null
mv "$root/full" "$root/usr/libexec/mptcpctl/mptcpctl-full"
"$program" policy plan --state "$root/state" "$root/usr/share/doc/mptcpctl/examples/policy.toml" >/dev/null
for page in $("$program" help --man-list); do
	gzip -dc "$root/usr/share/man/man8/$page.8.gz" | grep '^\.Sh NAME' >/dev/null
done
# The licences of all modules that the programs have, and the bill of materials.
doc=$root/usr/share/doc/mptcpctl
[ -s "$doc/NOTICE" ]
for file in "$program" "$root/usr/libexec/mptcpctl/mptcpctl-full"; do
	for module in $(go version -m "$file" | awk '$1 == "dep" {print $2}'); do
		grep "^$module " "$doc/THIRD_PARTY" >/dev/null
		grep "\"name\": \"$module\"" "$doc/mptcpctl.cdx.json" >/dev/null
	done
done
bash -n "$root/usr/share/bash-completion/completions/mptcpctl"
for unit in mptcpctl mptcpctl-policy; do
	start=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$root/usr/lib/systemd/system/$unit.service")
	[ -x "$root$start" ] || { echo "$unit.service starts $start, which is not there"; exit 1; }
done

package --purge mptcpctl
rm "$root/ip-mptcp"
left=$(cd "$root" && find . -path ./var -prune -o ! -type d -print)
[ -z "$left" ] || { printf 'left behind:\n%s\n' "$left"; exit 1; }
echo 'the package installs, works and goes without a trace'
