package config_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher/internal/config"
)

// creds looks like what nsc writes for a user; the JWT and the seed are none.
const creds = `-----BEGIN NATS USER JWT-----
eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJjYW5hcnkifQ.c2lnbmF0dXJl
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
SUCANARYCANARYCANARYCANARYCANARYCANARYCANARYCANARYCANARYCA
------END USER NKEY SEED------
`

// caPEM makes a certificate that nobody trusts.
func caPEM(t *testing.T) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// engineDirectory makes a directory with what the engine's keys name, and makes
// it the working directory.
func engineDirectory(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("store/below", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"a.creds": creds, "ca.pem": caPEM(t), "text": "canary", "kek": strings.Repeat("k", 32) + "\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEngine(t *testing.T) {
	three := config.Servers{"nats://n1:4222", "nats://n2:4222", "nats://n3:4222"}
	tests := []struct {
		name, text, environ string
		want                config.Engine
	}{
		{"nothing", "", "", config.Engine{Data: "data"}},
		{"memory", "{memory: true}", "", config.Engine{Memory: true}},
		{"data", "{data: ./store}", "", config.Engine{Data: "store"}},
		{"data that is not there", "{data: ./store/new/deep}", "", config.Engine{Data: "store/new/deep"}},
		{"absolute", "{data: /nowhere/of/mine/}", "", config.Engine{Data: "/nowhere/of/mine"}},
		{"one server", "{nats: nats://n1}", "", config.Engine{NATS: three[:1]}},
		{"two", `{nats: "nats://n1,n2"}`, "", config.Engine{NATS: three[:2]}},
		{"three", "\n  nats: nats://n1,n2,n3", "", config.Engine{NATS: three}},
		{"three in braces", "{nats: nats://n1,n2,n3}", "", config.Engine{NATS: three}},
		{"in braces with ports", "{nats: nats://n1:4222,n2,nats://n3:4222, replicas: 1}", "", config.Engine{NATS: three, Replicas: 1}},
		{"addresses in braces", "{replicas: 2, nats: nats://127.0.0.1:1,127.0.0.1:2}", "", config.Engine{
			NATS: config.Servers{"nats://127.0.0.1:1", "nats://127.0.0.1:2"}, Replicas: 2,
		}},
		{"spaces", `{nats: "nats://n1, n2 ,n3"}`, "", config.Engine{NATS: three}},
		{"list", "{nats: [nats://n1, nats://N2, nats://n3:4222]}", "", config.Engine{NATS: three}},
		{"address of IPv6", `{nats: "tls://[::1],[fe80::1]:99"}`, "", config.Engine{
			NATS: config.Servers{"tls://[::1]:4222", "tls://[fe80::1]:99"},
		}},
		{"list of addresses", "{nats: [tls://127.0.0.1:1, tls://127.0.0.1:2], replicas: 1}", "", config.Engine{
			NATS: config.Servers{"tls://127.0.0.1:1", "tls://127.0.0.1:2"}, Replicas: 1,
		}},
		{"files", `{nats: "tls://n1", credentials: a.creds, ca: ./ca.pem}`, "", config.Engine{
			NATS: config.Servers{"tls://n1:4222"}, Credentials: "a.creds", CA: "ca.pem",
		}},
		{"keys", "{data: store, key: {file: kek}, old_key: {file: ./kek}}", "", config.Engine{
			Data: "store", Key: &config.SecretSource{File: "kek"}, OldKey: &config.SecretSource{File: "kek"},
		}},
		{"key in a variable", "{data: store}", "USHER_ENGINE_KEY_FILE=kek", config.Engine{
			Data: "store", Key: &config.SecretSource{File: "kek"},
		}},
		{"variable", "", "USHER_ENGINE_NATS=nats://n1,n2,n3", config.Engine{NATS: three}},
		{"list in a variable", "", "USHER_ENGINE_NATS=[nats://n1, nats://n2]", config.Engine{NATS: three[:2]}},
		{"map in a variable", "{data: ./store}", "USHER_ENGINE={nats: nats://n1,n2, replicas: 2}", config.Engine{NATS: three[:2], Replicas: 2}},
		{"item in a variable", "", "USHER_ENGINE_NATS_0=nats://n1", config.Engine{NATS: three[:1]}},
		{"over a list", "{nats: nats://a,b,c}", "USHER_ENGINE_NATS=nats://n1", config.Engine{NATS: three[:1]}},
		{"over a directory", "{data: ./elsewhere}", "USHER_ENGINE_DATA=store", config.Engine{Data: "store"}},
		{"beside the file's", "{nats: nats://n1}", "USHER_ENGINE_REPLICAS=5", config.Engine{NATS: three[:1], Replicas: 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			engineDirectory(t)
			environ := []string{tt.environ}
			if len(tt.want.NATS) > 0 {
				environ = append(environ, "USHER_ENGINE_KEY_ENV=USHER_KEK", "USHER_KEK="+strings.Repeat("k", 32))
				tt.want.Key = &config.SecretSource{Env: "USHER_KEK"}
			}
			got, err := loadEngine(t, tt.text, environ...)
			if err != nil {
				t.Fatalf("got\n%v", err)
			}
			if diff := cmp.Diff(tt.want, got.Engine); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for _, name := range []string{"data", "store/new"} {
				if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s: got the error %v, want it not to be made", name, err)
				}
			}
		})
	}
}

// loadEngine loads a file with the engine that text says, or without a file if
// it says nothing.
func loadEngine(t *testing.T, text string, environ ...string) (*config.Config, error) {
	t.Helper()
	if text == "" {
		return config.Load("", environ)
	}
	if err := os.WriteFile("usher.yaml", []byte("engine: "+text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load("usher.yaml", environ)
}

// The default is beside the file, wherever the program runs.
func TestEngineDefault(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "usher.yaml")
	if err := os.WriteFile(file, []byte("drain: 1s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(c.Engine.Data), filepath.Join(dir, "data"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "data"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = config.Load(file, nil); err == nil || !strings.Contains(err.Error(), "engine.data: not a directory: "+dir) {
		t.Errorf("got the error %v, want one that the default is no directory", err)
	}
}

const (
	anEngine = "an engine: data, nats or memory"
	aServer  = "want NATS servers such as nats://n1, tls://n1:4222 or tls://n1,n2,n3"
	noSecret = "want servers without user name, password and token; a credential goes into a file that engine.credentials names"
	noUser   = "no NATS user in it; want a file with a JWT and a seed, as nsc writes them (.creds)"
)

func TestEngineBad(t *testing.T) {
	tests := []struct{ name, text, environ, want string }{
		{"empty", "{}", "", "1:9: engine: empty; want " + anEngine},
		{"null", "", "USHER_ENGINE={}", "USHER_ENGINE: engine: empty; want " + anEngine},
		{"two", "{data: ./store, memory: true}", "", "1:9: engine: got data and memory; an engine is one of them"},
		{"three", "{memory: true, nats: nats://n1,n2, data: x}", "", "1:9: engine: got memory, nats and data; an engine is one of them"},
		{"two by a variable", "{memory: true}", "USHER_ENGINE_DATA=store", "USHER_ENGINE_DATA: engine: got memory and data; an engine is one of them"},
		{"no memory", "{memory: false}", "", "1:18: engine.memory: want true; leave it out where it is not the engine"},
		{"text", "./store", "", "1:9: engine: got text, want a map with one of data, nats or memory"},
		{"only replicas", "{replicas: 3}", "", "1:9: engine: want " + anEngine},
		{"replicas of memory", "{memory: true, replicas: 3}", "", "1:24: engine.replicas: is for nats, and there is none"},
		{"files of data", "{data: ./store, credentials: a.creds}", "", "1:25: engine.credentials: is for nats, and there is none"},
		{"ca of memory", "{memory: true, ca: ca.pem}", "", "1:24: engine.ca: is for nats, and there is none"},

		{"data that is a file", "{data: ./text}", "", "1:16: engine.data: not a directory: text"},
		{"data in a file", "{data: ./text/x/y}", "", "1:16: engine.data: not a directory, or beneath what is none: text/x/y"},
		{"no data", "{data: }", "", "1:10: engine.data: got nothing, want the name of a directory"},
		{"empty data", `{data: ""}`, "", "1:16: engine.data: want the name of a directory"},
		{"data of a number", "{data: 5}", "", "1:16: engine.data: got a number, want the name of a directory"},
		{"long data", "{data: " + strings.Repeat("x", 300) + "}", "", "1:16: engine.data: cannot be a directory: " + strings.Repeat("x", 300)},

		{"scheme", "{nats: ws://n1}", "", "1:16: engine.nats: " + aServer},
		{"no scheme", "{nats: n1}", "", "1:16: engine.nats: " + aServer},
		{"no host", `{nats: "nats://"}`, "", "1:16: engine.nats: " + aServer},
		{"a comma too many", `{nats: "nats://n1,"}`, "", "1:16: engine.nats: " + aServer},
		{"semicolon", `{nats: "nats://n1;n2"}`, "", "1:16: engine.nats: " + aServer},
		{"path", `{nats: "nats://n1/x"}`, "", "1:16: engine.nats: " + aServer},
		{"query", `{nats: "nats://n1?x"}`, "", "1:16: engine.nats: " + aServer},
		{"port", `{nats: "nats://n1:0"}`, "", "1:16: engine.nats: " + aServer},
		{"great port", `{nats: "nats://n1:65536"}`, "", "1:16: engine.nats: " + aServer},
		{"no port", `{nats: "nats://n1:"}`, "", "1:16: engine.nats: " + aServer},
		{"no list item", "{nats: []}", "", "1:16: engine.nats: empty; " + aServer},
		{"nothing", "{nats: }", "", "1:10: engine.nats: got nothing, " + aServer},
		{"map", "{nats: {url: nats://n1}}", "", "1:16: engine.nats: got a map, " + aServer},
		{"number", "{nats: 4222}", "", "1:16: engine.nats: got a number, " + aServer},
		{"item without scheme", "{nats: [nats://n1, n2]}", "", "1:28: engine.nats[1]: " + aServer},
		{"commas in an item", `{nats: ["nats://n1,n2"]}`, "", "1:17: engine.nats[0]: " + aServer},
		{"item that is none", "{nats: [nats://n1, 5]}", "", "1:28: engine.nats[1]: got a number, " + aServer},
		{"twice", "{nats: [nats://n1, nats://N1:4222]}", "", "1:28: engine.nats[1]: in the list twice"},
		{"in braces with a space", "{nats: nats://n1, n2}", "", "1:27: engine.n2: unknown key; known here: data, nats, memory, replicas, credentials, ca, key, old_key"},
		{"mixed", "{nats: [nats://n1, tls://n2]}", "", "1:16: engine.nats: some with and some without TLS; want nats:// for all of them, or tls://"},
		{"of a variable", "", "USHER_ENGINE_NATS=nats://n1,http://n2", "USHER_ENGINE_NATS: engine.nats: " + aServer},

		{"password", `{nats: "nats://user:hunter2-canary@n1"}`, "", "1:16: engine.nats: " + noSecret},
		{"token", "{nats: nats://hunter2-canary@n1,n2}", "", "1:16: engine.nats: " + noSecret},
		{"password in braces", "{nats: nats://n1,user:canary@n2}", "", "1:16: engine.nats: " + noSecret},
		{"password with a slash", `{nats: "nats://n1,nats://user:hunter2/canary@n2"}`, "", "1:16: engine.nats: " + noSecret},
		{"password with a comma", `{nats: "nats://user:hunter2,canary@n1"}`, "", "1:16: engine.nats: " + noSecret},
		{"password in a list", "{nats: [nats://n1, user:canary@n2]}", "", "1:28: engine.nats[1]: " + noSecret},
		{"comma in a list", "{nats: [nats://user:hunter2,canary@n1]}", "", "1:17: engine.nats[0]: " + aServer + "\n1:37: engine.nats[1]: " + noSecret},
		{"password in a variable", "", "USHER_ENGINE_NATS=nats://user:canary@n1", "USHER_ENGINE_NATS: engine.nats: " + noSecret},

		{"no replicas", "{nats: nats://n1, replicas: 0}", "", "1:37: engine.replicas: want at least 1 and at most 5"},
		{"six replicas", "{nats: nats://n1, replicas: 6}", "", "1:37: engine.replicas: want at least 1 and at most 5"},
		{"half a replica", "{nats: nats://n1, replicas: 1.5}", "", "1:37: engine.replicas: got a number, want a whole number such as 100"},
		{"credentials nowhere", "{nats: nats://n1, credentials: ./nowhere}", "", "1:40: engine.credentials: no such file: nowhere"},
		{"credentials that are none", "{nats: nats://n1, credentials: ./text}", "", "1:40: engine.credentials: " + noUser},
		{"no ca", "{nats: tls://n1, ca: ./text}", "", "1:30: engine.ca: no certificate in PEM in it"},
		{"ca without TLS", "{nats: nats://n1, ca: ./ca.pem}", "", "1:31: engine.ca: is for servers of tls://, and there is none"},
		{"short key", "{nats: nats://n1, key: {file: text}}", "", "1:39: engine.key.file: the secret has 6 bytes; want at least 32, such as those of: openssl rand -base64 32"},
		{"key nowhere", "{data: store, key: {file: nowhere}}", "", "1:35: engine.key.file: no such file: nowhere"},
		{"key of no variable", "{data: store, key: {env: NOWHERE}}", "", "1:34: engine.key.env: no such environment variable"},
		{"old key alone", "{data: store, old_key: {file: kek}}", "", "1:32: engine.old_key: needs key: what is sealed under it is sealed under that"},
		{"short old key", "{data: store, key: {file: kek}, old_key: {file: text}}", "", "1:57: engine.old_key.file: the secret has 6 bytes; want at least 32, such as those of: openssl rand -base64 32"},
		{"key of memory", "{memory: true, key: {file: kek}}", "", "1:24: engine.key: is for data or nats, and there is none"},
		{"all at once", "{nats: n1, replicas: 9, credentials: x}", "", "1:16: engine.nats: " + aServer +
			"\n1:30: engine.replicas: want at least 1 and at most 5\n1:46: engine.credentials: no such file: x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			engineDirectory(t)
			_, err := loadEngine(t, tt.text, tt.environ)
			list, ok := errors.AsType[config.Problems](err)
			if !ok {
				t.Fatalf("got the error %v, want problems", err)
			}
			var got []string
			for _, p := range list {
				first, _, _ := strings.Cut(p.String(), "\n")
				got = append(got, strings.TrimPrefix(first, "usher.yaml:"))
			}
			if diff := cmp.Diff(strings.Split(tt.want, "\n"), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got an error with a secret in it:\n%v", err)
			}
		})
	}
}
