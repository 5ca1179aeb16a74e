package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/usher-ws/usher"
)

const (
	testKeyID  = "abcdefghijkl"
	testRecord = `{"v":1,"digest":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=","created":"2026-01-02T03:04:05.000006Z"`
)

func TestKeyRecord(t *testing.T) {
	whole := testRecord + `,"name":"a","may":["explain","keys"],"expires":"2027-01-02T03:04:05Z","disabled":true}`
	want := keyRecord{digest: digest(bytes.Repeat([]byte{1}, 32)), key: Key{
		ID: testKeyID, Name: "a", May: []string{"explain", "keys"}, Disabled: true,
		Created: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Expires: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC),
	}}
	got, err := decodeRecord(testKeyID, []byte(whole))
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(keyRecord{})); err != nil || diff != "" {
		t.Errorf("got error %v, want nil (-want +got):\n%s", err, diff)
	}
	got, err = decodeRecord(testKeyID, []byte(testRecord+"}"))
	want.key.Name, want.key.May, want.key.Disabled, want.key.Expires = "", []string{}, false, time.Time{}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(keyRecord{})); err != nil || diff != "" {
		t.Errorf("the least: got error %v, want nil (-want +got):\n%s", err, diff)
	}
}

// badRecords are records that must not be read, by what is wrong with them.
var badRecords = map[string]string{
	"nothing":                      ``,
	"null":                         `null`,
	"not JSON":                     `{"v":1`,
	"a list":                       `[]`,
	"no version":                   `{"digest":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=","created":"2026-01-02T03:04:05Z"}`,
	"a later version":              strings.Replace(testRecord, `"v":1`, `"v":2`, 1) + "}",
	"a version in words":           strings.Replace(testRecord, `"v":1`, `"v":"1"`, 1) + "}",
	"an unknown member":            testRecord + `,"networks":["10.0.0.0/8"]}`,
	"something after it":           testRecord + `}{}`,
	"an unknown permission":        testRecord + `,"may":["everything"]}`,
	"permissions out of order":     testRecord + `,"may":["keys","explain"]}`,
	"a permission twice":           testRecord + `,"may":["keys","keys"]}`,
	"no digest":                    `{"v":1,"created":"2026-01-02T03:04:05Z"}`,
	"a digest of zeros":            strings.Replace(testRecord, strings.Repeat("AQEB", 10)+"AQE=", strings.Repeat("AAAA", 10)+"AAA=", 1) + "}",
	"a short digest":               strings.Replace(testRecord, "AQEBAQEB", "AQEB", 1) + "}",
	"a long digest":                strings.Replace(testRecord, "AQEBAQEB", "AQEBAQEBAQEB", 1) + "}",
	"a digest that is not base64":  strings.Replace(testRecord, "AQEB", "!!!!", 1) + "}",
	"no creation":                  `{"v":1,"digest":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}`,
	"an expiry that is no time":    testRecord + `,"expires":"soon"}`,
	"a name that is too long":      testRecord + `,"name":"` + strings.Repeat("a", 65) + `"}`,
	"a name that is not printable": testRecord + `,"name":"\u0007"}`,
	"a name that is not UTF-8":     testRecord + ",\"name\":\"\xff\"}",
	"disabled in words":            testRecord + `,"disabled":"yes"}`,
	"50 KB":                        testRecord + strings.Repeat(" ", 50_000) + "}",
	"an old digest without an end": testRecord + `,"old":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}`,
	"a short old digest":           testRecord + `,"old":"AQEB","old_until":"2027-01-02T03:04:05Z"}`,
	"an end without an old digest": testRecord + `,"old_until":"2027-01-02T03:04:05Z"}`,
	"a scope without tokens":       testRecord + `,"scope":"chat"}`,
	"a scope that is none":         testRecord + `,"may":["tokens"],"scope":"\"chat\""}`,
	"a capability that is none":    testRecord + `,"may":["exchange"],"capability":{"a":["fly"]}}`,
	"an audience twice":            testRecord + `,"may":["tokens"],"audiences":["a","a"]}`,
}

// A record that cannot be read is logged once, and its key verifies no more; it
// can be removed.
func TestKeyRecordRefuses(t *testing.T) {
	for name, record := range badRecords {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { refuseRecord(t, record) })
		})
	}
}

func refuseRecord(t *testing.T, record string) {
	b := newTestBucket()
	w := &wireBucket{bucket: b, open: true}
	var log bytes.Buffer
	k, err := newKeys(t.Context(), w, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	made, text := create(t, k, Key{})
	good, _ := b.get(t.Context(), made.ID)
	if _, err := b.update(t.Context(), made.ID, []byte(record), good.revision, 0); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	w.tell(w.told[len(w.told)-1]) // Once more, as after a cut.
	w.tell(good)
	if _, err := k.Verify(text); !errors.Is(err, ErrBadKey) {
		t.Errorf("Verify: got %v, want ErrBadKey", err)
	}
	if _, ok := k.Find(made.ID); ok || len(k.List()) != 0 {
		t.Error("got a key, want none")
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "key_id="+made.ID) ||
		strings.Contains(got, "AQEB") || strings.Contains(got, "everything\"]") {
		t.Errorf("log: got %q, want one line with the id and nothing of the record", got)
	}
	if _, err := k.Disable(t.Context(), made.ID, true); err == nil || errors.Is(err, ErrNoKey) {
		t.Errorf("Disable: got %v, want an error that is not ErrNoKey", err)
	}
	if err := k.Remove(t.Context(), made.ID); err != nil {
		t.Errorf("Remove: got %v, want nil", err)
	}
}

// Entries under names that are no ids do no harm, and a digest in another key's
// record verifies nothing.
func TestKeyRecordInTheWrongPlace(t *testing.T) {
	synctest.Test(t, recordInTheWrongPlace)
}

func recordInTheWrongPlace(t *testing.T) {
	b := newTestBucket()
	k := testKeys(t, b)
	made, text := create(t, k, Key{})
	e, err := b.get(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"probe", testKeyID, strings.ToUpper(testKeyID), "a.b", strings.Repeat("a", 1000)} {
		if _, err := b.create(t.Context(), name, e.value, 0); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
	if got := len(k.List()); got != 2 {
		t.Errorf("got %d keys, want the one that was made and its copy", got)
	}
	moved := strings.Replace(text.Reveal(), made.ID, testKeyID, 1)
	if _, err := k.Verify(usher.NewSecret(moved)); !errors.Is(err, ErrBadKey) {
		t.Errorf("Verify by the copy: got %v, want ErrBadKey", err)
	}
	if _, err := k.Verify(text); err != nil {
		t.Errorf("Verify: got %v, want nil", err)
	}
}

func FuzzKeyRecord(f *testing.F) {
	f.Add(testKeyID, []byte(testRecord+"}"))
	f.Add("x", []byte(testRecord+`,"may":["keys"],"expires":"2027-01-02T03:04:05+01:00"}`))
	for _, record := range badRecords {
		f.Add(testKeyID, []byte(record))
	}
	f.Fuzz(func(t *testing.T, id string, value []byte) {
		r, err := decodeRecord(id, value)
		if err != nil {
			if !r.unreadable || r.digest != (digest{}) {
				t.Errorf("got a readable record with the error %v", err)
			}
			return
		}
		again, err := r.encode()
		if err != nil || len(again) > maxKeyRecord {
			t.Fatalf("encode: got %d bytes and %v", len(again), err)
		}
		if second, err := decodeRecord(id, again); err != nil || !cmp.Equal(second, r, cmp.AllowUnexported(keyRecord{})) {
			t.Errorf("got %v and %v, want %v again", second, err, r)
		}
		if !json.Valid(again) {
			t.Errorf("got %q, want JSON", again)
		}
	})
}
