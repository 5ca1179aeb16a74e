package config

// An Engine keeps what must outlive a connection, and what several nodes must
// agree about. Exactly one of data, nats and memory is given.
type Engine struct {
	// Directory of an embedded store, for one node. It is made when Usher starts,
	// and no two processes share one.
	Data Dir `yaml:"data"`
	// Servers of a NATS cluster with JetStream, which all nodes share: nats://n1
	// or tls://n1, several as tls://n1:4222,n2,n3 or as a list. Without a port,
	// 4222.
	NATS Servers `yaml:"nats"`
	// Keeps it in this process, for one node: tickets from before a restart are
	// refused, and revocations and API keys are gone.
	Memory bool `yaml:"memory"`
	// On how many servers of the cluster each record is kept, from 1 to 5: of 3
	// one may be lost, of 5 two. Default: 3 where nats names three servers or
	// more, else 1.
	Replicas int `yaml:"replicas" min:"1" max:"5" beside:"nats"`
	// File with the JWT and seed of a NATS user, as nsc writes them (.creds).
	// Default: none.
	Credentials File `yaml:"credentials" beside:"nats"`
	// File with the certificates, in PEM, that vouch for servers of tls. Default:
	// those of the system.
	CA File `yaml:"ca" beside:"nats"`
	// Key-encryption key, under which secrets and signing keys are sealed in the
	// store: a random text of at least 32 bytes, the same on all nodes. Default:
	// with data one is made, in the file usher.key of the directory; with nats
	// there is none, and whoever can read the store can make tickets and tokens.
	Key *SecretSource `yaml:"key" beside:"data,nats"`
	// Key-encryption key from before: what is sealed under it is opened, and
	// sealed under key when Usher starts. Default: none.
	OldKey *SecretSource `yaml:"old_key" beside:"data,nats"`
}
