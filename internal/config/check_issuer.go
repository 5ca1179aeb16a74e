package config

import (
	"net/url"
	"slices"
	"strings"

	"github.com/usher-ws/usher"
)

func (k *checker) issuer(p path, i *Issuer) {
	if i == nil || i.Name == "" {
		return
	}
	k.site(p.with("name"), i.Name)
	if i.Audience == "" {
		i.Audience = i.Name
	}
	if i.AccessToken > i.MaxAccessToken {
		k.report(p.with("access_token"), "more than max_access_token, %v", i.MaxAccessToken)
	}
	if keep := k.config.Sessions.KeepRevocations; i.MaxAccessToken > keep {
		k.report(p.with("max_access_token"), "more than sessions.keep_revocations, %v: nobody would know whether such a token was revoked", keep)
	}
	if i.RefreshIdle > i.RefreshLifetime {
		k.report(p.with("refresh_idle"), "more than refresh_lifetime, %v", i.RefreshLifetime)
	}
	for n, o := range i.Origins {
		k.guard(p.with("origins", n), &usher.Guard{Origins: []string{o}})
	}
	k.unique(p.with("origins"), i.Origins)
	for key, names := range map[string][]string{
		"access_token": i.Subjects.AccessToken, "id_token": i.Subjects.IDToken, "jwt": i.Subjects.JWT,
	} {
		at := p.with("subjects", key)
		k.unique(at, names)
		for n, name := range names {
			switch v, known := k.config.Verifiers[name]; {
			case !known:
				k.report(at.with(n), "no verifier has this name%s", k.otherVerifiers(name))
			case v != nil && v.JWT == nil && (v.Introspect == nil || key != "access_token"):
				k.report(at.with(n), "judges no such tokens; want a verifier with jwt, or for access_token with introspect")
			}
		}
	}
}

// site reports what is no origin that this site can have.
func (k *checker) site(p path, origin string) {
	k.guard(p, &usher.Guard{Origins: []string{origin}})
	u, err := url.Parse(origin)
	switch {
	case err != nil || !k.reports.clean(p):
	case strings.ToLower(origin) != origin || u.Scheme+"://"+u.Host != origin:
		k.report(p, "want an origin in lower case such as https://usher.example.com")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		k.report(p, "want https, or http on loopback")
	case len(k.config.Hosts) > 0 && !slices.ContainsFunc(k.config.Hosts, func(h string) bool {
		return strings.EqualFold(h, u.Host) || strings.EqualFold(h, withoutPort(u.Host))
	}):
		k.report(p, "its host is not one of the top level's hosts, so nobody gets there")
	}
}

// ownTokens looks at a verifier of tokens of the site's own.
func (k *checker) ownTokens(p path, o *Own) {
	if k.config.Issuer == nil {
		k.report(p, "judges tokens of the site's own, and it makes none: want the top level's issuer")
		return
	}
	if o.Audience == "" {
		o.Audience = k.config.Issuer.Audience
	}
}
