#!/usr/bin/env bash
# Checks that this machine has what the tests need: deps.sh NAME...
# What Debian packages is installed where we may; otherwise the message says
# what to install.
set -euo pipefail

node_major=20

# can_install reports whether packages can be installed here.
can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# install PACKAGE... installs Debian packages, with fresh lists.
install() {
	echo "installing $*"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# missing WHAT HOW... says what is missing and ends.
missing() {
	echo "missing: $1" >&2
	shift
	printf '  %s\n' "$@" >&2
	exit 1
}

need_go() {
	command -v go >/dev/null || missing "Go, in the version that go.mod names or newer" \
		"install it from https://go.dev/dl"
}

need_node() {
	if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
		can_install || missing "Node.js $node_major or newer, with npm (browser tests)" \
			"Debian: sudo apt-get install nodejs npm"
		install nodejs npm
	fi
	local have
	have=$(node -p 'process.versions.node.split(".")[0]')
	[ "$have" -ge "$node_major" ] || missing "Node.js $node_major or newer (browser tests)" \
		"this one is $(node --version)"
}

# need_browser NAME VARIABLE PACKAGE finds a browser that the tests drive.
# VARIABLE names another executable than Debian's.
need_browser() {
	local name=$1 variable=$2 package=$3
	command -v "${!variable:-$package}" >/dev/null && return
	[ -z "${!variable:-}" ] || missing "the $name that $variable names" "${!variable} is no executable"
	can_install || missing "$name (browser tests)" \
		"Debian: sudo apt-get install $package" \
		"elsewhere: install $name and name it, as $variable=/path/to/it make test" \
		"or leave it out, as USHER_BROWSERS=chromium or USHER_BROWSERS=firefox make test"
	install "$package" fonts-dejavu-core
}

# The browsers that USHER_BROWSERS names; the tests have the same default.
need_browsers() {
	local browser
	for browser in $(tr ',' ' ' <<<"${USHER_BROWSERS:-chromium,firefox}"); do
		case $browser in
		chromium) need_browser Chromium CHROMIUM chromium ;;
		firefox) need_browser Firefox FIREFOX firefox-esr ;;
		*) missing "a browser called $browser" "USHER_BROWSERS may name chromium and firefox" ;;
		esac
	done
}

# need_webkit finds WebKitGTK with its driver, for the support matrix, and has the
# tests' names lead to this machine, since it knows no other way.
need_webkit() {
	local name absent=()
	for name in WebKitWebDriver:webkit2gtk-driver xvfb-run:xvfb xauth:xauth dbus-run-session:dbus; do
		command -v "${name%%:*}" >/dev/null || absent+=("${name##*:}")
	done
	if [ ${#absent[@]} -gt 0 ]; then
		can_install || missing "${absent[*]} (support matrix)" "Debian: sudo apt-get install ${absent[*]}"
		install "${absent[@]}"
	fi
	for name in app.test api.app.test evil.test; do
		getent hosts "$name" >/dev/null && continue
		echo "127.0.0.1 $name" >>/etc/hosts 2>/dev/null || missing "the name $name (support matrix)" \
			"add to /etc/hosts: 127.0.0.1 app.test api.app.test evil.test"
	done
}

# need_python finds a Python with websockets; Debian's may not be the first in
# the path.
need_python() {
	local python
	for python in python3 /usr/bin/python3; do
		"$python" -c 'import websockets' 2>/dev/null && return
	done
	can_install || missing "Python 3 with websockets (interop tests)" \
		"Debian: sudo apt-get install python3-websockets"
	install python3-websockets
}

# need_proxies finds the proxies that stand beside our gateway. A service that
# comes with a package is not wanted: the probes start their own.
need_proxies() {
	local package absent=()
	for package in nginx:nginx-light haproxy:haproxy caddy:caddy; do
		command -v "${package%%:*}" >/dev/null || absent+=("${package##*:}")
	done
	[ ${#absent[@]} -gt 0 ] || return 0
	missing "${absent[*]} (to stand beside our gateway)" \
		"Debian: sudo apt-get install ${absent[*]}" \
		"and stop the services that come with them"
}

# need_peers finds what the benchmarks measure beside us, and installs what is
# missing where we may. What is not there then is named as not run: no reason to
# stop. No service is started; the benchmarks start their own.
need_peers() {
	local package absent=() policy=/usr/sbin/policy-rc.d
	for package in nginx:nginx-light haproxy:haproxy caddy:caddy redis-server:redis-server; do
		command -v "${package%%:*}" >/dev/null || [ -x "/usr/sbin/${package%%:*}" ] || absent+=("${package##*:}")
	done
	if [ ${#absent[@]} -gt 0 ] && can_install; then
		if [ ! -e "$policy" ]; then
			# How Debian is told not to start services.
			trap 'rm -f /usr/sbin/policy-rc.d' EXIT
			printf '#!/bin/sh\nexit 101\n' >"$policy"
			chmod +x "$policy"
		fi
		if install "${absent[@]}"; then absent=(); fi
	fi
	command -v centrifugo >/dev/null || [ -x bin/centrifugo ] || build_centrifugo || absent+=(centrifugo)
	[ ${#absent[@]} -eq 0 ] || echo "not installed, so they will not run: ${absent[*]}" >&2
}

# build_centrifugo builds the hubs' peer into bin, which takes some minutes. It
# is a program of its own: nothing of it is in our go.mod.
build_centrifugo() {
	local module=github.com/centrifugal/centrifugo/v6 version=6.9.1
	echo "building Centrifugo $version"
	GOBIN="$PWD/bin" GOFLAGS= go install -ldflags "-X $module/internal/build.Version=$version" "$module@v$version"
}

for name in "$@"; do
	case $name in
	go | node | python | browsers | webkit | proxies | peers) "need_$name" ;;
	*) missing "a rule for $name" ;;
	esac
done
