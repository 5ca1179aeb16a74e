package usher

import "testing"

// Private, because it would take a name server that lies to see it from
// outside: a name that is said to be the loopback interface and is not.
func TestPlainHTTPDialsLoopbackOnly(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "127.9.9.9:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true,
		"10.0.0.1:80": false, "[::]:80": false, "0.0.0.0:80": false, "169.254.169.254:80": false,
		"[fe80::1%eth0]:80": false, "localhost:80": false, "": false,
	} {
		if err := loopbackOnly("tcp", address, nil); (err == nil) != want {
			t.Errorf("connect to %q: got %v, want allowed: %v", address, err, want)
		}
	}
}
