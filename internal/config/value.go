package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// An Address is where to listen, as host:port.
type Address string

// A File is the name of a file. A relative one was relative to the directory of
// the configuration file, and no longer is.
type File string

// A Dir is the name of a directory, as that of a File.
type Dir string

// A URL is an absolute http or https URL, without user name and password.
type URL string

// A HeaderName is the name of an HTTP header, in its canonical form.
type HeaderName string

// readers are the types that are written as one text. Their errors say what was
// expected, and never what was given, which may be a secret in the wrong place.
var readers = map[reflect.Type]func(text, dir string) (any, error){
	reflect.TypeFor[Address]():       func(text, _ string) (any, error) { return readAddress(text) },
	reflect.TypeFor[File]():          func(text, dir string) (any, error) { return readFile(text, dir) },
	reflect.TypeFor[Dir]():           func(text, dir string) (any, error) { return readDir(text, dir) },
	reflect.TypeFor[server]():        func(text, _ string) (any, error) { return readServer(text) },
	reflect.TypeFor[URL]():           func(text, _ string) (any, error) { return readURL(text) },
	reflect.TypeFor[HeaderName]():    func(text, _ string) (any, error) { return readHeaderName(text) },
	reflect.TypeFor[Upstream]():      func(text, dir string) (any, error) { return readUpstream(text, dir) },
	reflect.TypeFor[time.Duration](): func(text, _ string) (any, error) { return readDuration(text) },
	reflect.TypeFor[netip.Prefix]():  func(text, _ string) (any, error) { return readPrefix(text) },
}

func readAddress(text string) (Address, error) {
	host, port, err := net.SplitHostPort(text)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || strconv.FormatUint(n, 10) != port {
		return "", errors.New("want an address such as 127.0.0.1:8080 or :8080")
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == '/' }) {
		return "", errors.New("want an address such as 127.0.0.1:8080 or :8080")
	}
	return Address(text), nil
}

func readFile(text, dir string) (File, error) {
	if text == "" || strings.ContainsRune(text, 0) {
		return "", errors.New("want the name of a file")
	}
	return File(inDirectory(text, dir)), nil
}

func readDir(text, dir string) (Dir, error) {
	if text == "" || strings.ContainsRune(text, 0) {
		return "", errors.New("want the name of a directory")
	}
	return Dir(inDirectory(text, dir)), nil
}

// inDirectory returns name as seen from where the program runs.
func inDirectory(name, dir string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}

func readURL(text string) (URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "" {
		return "", errors.New("want a URL such as https://login.example.com/keys.json")
	}
	if u.User != nil || u.Fragment != "" {
		return "", errors.New("want a URL without user name, password and fragment")
	}
	return URL(text), nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || strings.EqualFold(host, "localhost")
}

func readDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, errors.New("want a time with its unit, such as 500ms, 10s or 5m")
	}
	return d, nil
}

func readPrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errors.New("want a network such as 10.0.0.0/8, or an address")
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("has bits beyond its length; want %s, or %s for the one address", p.Masked(), p.Addr())
	}
	return p, nil
}
