package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// createJWT answers with a token that is signed with the key of the query.
func createJWT(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	ttl, err := strconv.ParseFloat(q.Get("expiresIn"), 64) // In seconds.
	if err != nil {
		ttl = 3600
	}
	now := time.Now().Unix()
	claims := map[string]any{"iat": now, "exp": now + int64(ttl)}
	for param, claim := range map[string]string{"capability": "x-ably-capability", "clientId": "x-ably-clientId"} {
		if q.Has(param) {
			claims[claim] = q.Get(param)
		}
	}
	signed := part(map[string]any{"alg": "HS256", "typ": "JWT", "kid": q.Get("keyName")}) + "." + part(claims)
	mac := hmac.New(sha256.New, []byte(q.Get("keySecret")))
	_, _ = io.WriteString(mac, signed)
	w.Header().Set("Content-Type", "application/jwt")
	fmt.Fprint(w, signed+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
}

func part(m map[string]any) string {
	b, _ := json.Marshal(m) // Of texts and numbers.
	return base64.RawURLEncoding.EncodeToString(b)
}
