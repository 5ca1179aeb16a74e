package enginetest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/engine"
)

// An AppBook is what a node was told of apps.
type AppBook struct {
	mu sync.Mutex
	// Guarded by mu.
	apps map[string]string
}

// OpenApps opens the apps of a node, with a book of what it is told.
func OpenApps(t *testing.T, e *engine.Engine) (*engine.Apps, *AppBook) {
	t.Helper()
	book := &AppBook{apps: make(map[string]string)}
	a, err := e.Apps(t.Context(), func(id string, text []byte, _ uint64) {
		book.mu.Lock()
		defer book.mu.Unlock()
		if book.apps[id] = string(text); text == nil {
			delete(book.apps, id)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return a, book
}

// Await fails the test unless the book soon has this text of an app; "" is none.
func (b *AppBook) Await(t *testing.T, id, text string) {
	t.Helper()
	got := ""
	for until := time.Now().Add(soon); time.Now().Before(until); time.Sleep(time.Millisecond) {
		b.mu.Lock()
		got = b.apps[id]
		b.mu.Unlock()
		if got == text {
			return
		}
	}
	t.Errorf("app %s: got %q, want %q", id, got, text)
}

// wantAppError fails the test unless err is want.
func wantAppError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// put returns what makes an app's text another one.
func put(text string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(text), nil }
}

// testApps makes, changes and removes apps, of which all nodes are told.
func testApps(t *testing.T, nodes []*engine.Engine) {
	first, book := OpenApps(t, nodes[0])
	last, lastBook := OpenApps(t, nodes[len(nodes)-1])
	revision, err := first.Create(t.Context(), "a-B_1", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	book.Await(t, "a-B_1", "one")
	lastBook.Await(t, "a-B_1", "one")
	_, err = last.Create(t.Context(), "a-B_1", []byte("other"))
	wantAppError(t, "create twice", err, engine.ErrAppExists)
	next, err := last.Change(t.Context(), "a-B_1", revision, put("two"))
	if err != nil || next <= revision {
		t.Fatalf("change: got revision %d and %v, want more than %d", next, err, revision)
	}
	if same, err := last.Change(t.Context(), "a-B_1", next, put("two")); err != nil || same != next {
		t.Errorf("change to the same: got %d and %v, want %d", same, err, next)
	}
	_, err = first.Change(t.Context(), "a-B_1", revision, put("three"))
	wantAppError(t, "change of an old revision", err, engine.ErrAppChanged)
	_, err = first.Remove(t.Context(), "a-B_1", revision)
	wantAppError(t, "removal of an old revision", err, engine.ErrAppChanged)
	book.Await(t, "a-B_1", "two")
	refuse := errors.New("no")
	_, err = first.Change(t.Context(), "a-B_1", 0, func([]byte) ([]byte, error) { return []byte("x"), refuse })
	wantAppError(t, "change that is refused", err, refuse)
	_, late := OpenApps(t, nodes[0])
	late.Await(t, "a-B_1", "two")
	if got, err := first.Remove(t.Context(), "a-B_1", 0); err != nil || got != next {
		t.Errorf("remove: got %d and %v, want %d", got, err, next)
	}
	for _, b := range []*AppBook{book, lastBook, late} {
		b.Await(t, "a-B_1", "")
	}
	if _, err := last.Create(t.Context(), "a-B_1", []byte("again")); err != nil {
		t.Errorf("make anew: got %v", err)
	}
	book.Await(t, "a-B_1", "again")
	badApps(t, first)
}

// badApps tries what there is not, and what there cannot be.
func badApps(t *testing.T, a *engine.Apps) {
	t.Helper()
	for _, id := range []string{"none", "", ".", "a.", "*", ">", "a b", strings.Repeat("x", 300)} {
		_, err := a.Change(t.Context(), id, 0, put("x"))
		wantAppError(t, "change "+id, err, engine.ErrNoApp)
		_, err = a.Remove(t.Context(), id, 0)
		wantAppError(t, "remove "+id, err, engine.ErrNoApp)
		if id == "none" {
			continue
		}
		if _, err := a.Create(t.Context(), id, []byte("x")); err == nil {
			t.Errorf("create %q: got no error", id)
		}
	}
	_, err := a.Create(t.Context(), "long", make([]byte, engine.MaxApp+1))
	wantAppError(t, "a long one", err, engine.ErrLongApp)
	if _, err := a.Create(t.Context(), "long", make([]byte, engine.MaxApp)); err != nil {
		t.Errorf("as long as it may be: got %v", err)
	}
	_, err = a.Change(t.Context(), "long", 0, put(strings.Repeat("x", engine.MaxApp+1)))
	wantAppError(t, "made too long", err, engine.ErrLongApp)
}

// testAppRace has all nodes count up one app at the same time: no change is lost.
func testAppRace(t *testing.T, nodes []*engine.Engine) {
	const each = 10
	first, book := OpenApps(t, nodes[0])
	if _, err := first.Create(t.Context(), "n", []byte("0")); err != nil {
		t.Fatal(err)
	}
	var racing sync.WaitGroup
	for i, e := range nodes {
		a, _ := OpenApps(t, e)
		racing.Go(func() {
			for range each {
				_, err := a.Change(t.Context(), "n", 0, func(text []byte) ([]byte, error) {
					n, err := strconv.Atoi(string(text))
					return fmt.Append(nil, n+1), err
				})
				if err != nil {
					t.Errorf("node %d: %v", i, err)
				}
			}
		})
	}
	racing.Wait()
	book.Await(t, "n", strconv.Itoa(each*len(nodes)))
}
