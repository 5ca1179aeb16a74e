package ushertest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/ushertest"
)

// whoAmI is the handler under test. It has no idea of authentication.
func whoAmI(w http.ResponseWriter, r *http.Request) {
	id, err := usher.FromContext(r.Context())
	if err != nil {
		http.Error(w, "nobody", http.StatusInternalServerError)
		return
	}
	w.Write([]byte(id.Subject))
}

// testWhoAmI is a whole test of a guarded handler. In a file of your own it is
// called TestWhoAmI.
func testWhoAmI(t *testing.T) {
	issuer := ushertest.NewIssuer(t)
	guard := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(issuer.Verifier())}}
	handler := guard.Handler(http.HandlerFunc(whoAmI))

	for token, want := range map[string]int{
		issuer.Token("alice", usher.Claims{"sid": "s1"}): http.StatusOK,
		issuer.Expired("alice"):                          http.StatusUnauthorized,
		issuer.WrongKey("alice"):                         http.StatusUnauthorized,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/chat", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("got status %d, want %d", w.Code, want)
		}
		if want == http.StatusOK && w.Body.String() != "alice" {
			t.Errorf("got %q, want alice", w.Body)
		}
	}
}

func ExampleNewIssuer() {
	test := testWhoAmI // go test calls it.
	_ = test
}
