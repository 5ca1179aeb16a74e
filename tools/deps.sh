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

# The browser that the tests drive: CHROMIUM names another executable.
need_chromium() {
	command -v "${CHROMIUM:-chromium}" >/dev/null && return
	[ -z "${CHROMIUM:-}" ] || missing "the Chromium that CHROMIUM names" "$CHROMIUM is no executable"
	can_install || missing "Chromium (browser tests)" \
		"Debian: sudo apt-get install chromium" \
		"elsewhere: install Chromium or Chrome and name it, as CHROMIUM=/path/to/chrome make test"
	install chromium fonts-dejavu-core
}

for name in "$@"; do
	case $name in
	go | node | chromium) "need_$name" ;;
	*) missing "a rule for $name" ;;
	esac
done
