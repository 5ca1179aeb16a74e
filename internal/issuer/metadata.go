package issuer

import "slices"

// A metadata is the document of RFC 8414 §2. It says all that can be asked for,
// since there is no place to register.
type metadata struct {
	Issuer        string `json:"issuer"`
	Token         string `json:"token_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	Introspection string `json:"introspection_endpoint"`
	Keys          string `json:"jwks_uri"`
	// ResponseTypes are required, and there are none: nobody is sent here to log
	// in. An empty list says so to those who read the document as it is defined;
	// a missing one they take for a broken document.
	ResponseTypes     []string `json:"response_types_supported"`
	GrantTypes        []string `json:"grant_types_supported"`
	TokenAuth         []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuth    []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionAuth []string `json:"introspection_endpoint_auth_methods_supported"`
}

func metadataOf(name string) metadata {
	confidential := []string{"client_secret_basic", "client_secret_post"}
	public := slices.Concat(confidential, []string{"none"}) // Pages, with a refresh token.
	return metadata{
		Issuer: name, Token: name + TokenPath, Revocation: name + RevokePath, Introspection: name + IntrospectPath,
		Keys: name + KeysPath, ResponseTypes: []string{},
		GrantTypes: []string{grantClient, grantRefresh, grantExchange},
		TokenAuth:  public, RevocationAuth: public, IntrospectionAuth: confidential,
	}
}
