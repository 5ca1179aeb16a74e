package issuer_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/usher-ws/usher/internal/issuer"
)

// FuzzTokenForm sends any body with any proof: the answer is in the shape of
// RFC 6749, and there is no token without the client's secret or a refresh token
// of ours.
func FuzzTokenForm(f *testing.F) {
	const basic = "Basic YXBwOmNhbmFyeS1vZi1hcHA="
	for _, seed := range []struct{ body, authorization string }{
		{"grant_type=client_credentials&scope=read", basic},
		{"grant_type=client_credentials&client_id=app&client_secret=canary-of-app", ""},
		{"grant_type=refresh_token&refresh_token=usher_refresh_AAAA&client_id=app", ""},
		{"grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=a&subject_token_type=" + issuer.TypeSubject, basic},
		{"grant_type=client_credentials&capability=%7B%22chat:a%22:%5B%22*%22%5D%7D&expires_in=60&audience=chat&resource=x", basic},
		{"grant_type=client_credentials&grant_type=x", "Bearer x"},
		{"a=%zz;b=%ff&&=&=&+", "Basic"},
	} {
		f.Add(seed.body, seed.authorization)
	}
	s := newSite(f)
	f.Fuzz(func(t *testing.T, body, authorization string) {
		for _, path := range []string{issuer.TokenPath, issuer.RevokePath, issuer.IntrospectPath} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			a := ask(t, s.issuer, path, r)
			a.inShape(t, path)
			if a.status == http.StatusInternalServerError || a.status == http.StatusServiceUnavailable {
				t.Errorf("%s: got %d %s for what is a client's mistake", path, a.status, a.text)
			}
			if a.get("access_token") == "" {
				continue
			}
			_, password, _ := r.BasicAuth()
			password, _ = url.QueryUnescape(password)
			values, _ := url.ParseQuery(body)
			if password != secretOf("app") && values.Get("client_secret") != secretOf("app") &&
				password != secretOf("other") && values.Get("client_secret") != secretOf("other") {
				t.Errorf("got a token for %q with %q", body, authorization)
			}
		}
	})
}
