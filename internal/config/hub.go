package config

import "time"

// A Hub is a realtime server with channels, presence and history, to which the
// published Ably SDKs connect: at /, and for its REST side at /time, /keys,
// /channels, /messages, /presence and /stats.
type Hub struct {
	// Applications, by their ids: each has its own keys and channels. The admin API
	// can make others. Default: one
	// app with one key that may do everything; the key is printed when Usher
	// starts, and is the same as long as the engine keeps its data.
	Apps map[string]*App `yaml:"apps"`
	// Origins of pages that may connect, each exact: https://app.example.com.
	// Default: every origin, which is safe where no browser attaches a credential
	// by itself.
	Origins []string `yaml:"origins"`
	// Verifiers whose tokens open the hub too, where no more than one app is named
	// here: they say by the claim capability what may be done, and the subject is
	// the client id.
	// Default: none, so that keys and what they have signed open it.
	Verify []string `yaml:"verify"`
	// Ways to bring a credential beside those of the SDKs: ticket, cookie or
	// subprotocol. Default: none.
	Carriers []*Carrier `yaml:"carriers"`
	// Whether API keys are taken over plain HTTP from other machines too, where
	// whoever is on the way can read them, and use them for ever. Behind a proxy
	// with TLS name that in trusted_proxies instead. Default: false.
	InsecurePlainKeys bool `yaml:"insecure_plain_keys" default:"false"`
	// What a message survives that was acknowledged: memory nothing, process the
	// end of the process, interval a power cut but for the last second,
	// replicated the loss of a server of a NATS cluster. Default: process, and
	// memory for an engine in memory.
	Durability string `yaml:"durability" enum:"memory,process,interval,replicated"`
}

// An App is an application of the hub.
type App struct {
	// API keys, by their ids: the SDKs' key is app.key:secret. Default: none, so
	// that only verify opens the app.
	Keys map[string]*AppKey `yaml:"keys"`
	// What channels are like whose names begin with a namespace and a colon, by
	// the namespace. Others have the defaults. Default: none.
	Namespaces map[string]*Namespace `yaml:"namespaces"`
	// Bounds of what its clients can do.
	Limits AppLimits `yaml:"limits"`
}

// An AppKey is an API key of an app.
type AppKey struct {
	// Where its secret is, of at least 16 bytes: it signs tokens.
	Secret *SecretSource `yaml:"secret" rule:"required"`
	// What the key allows: operations, or "*" for all, by channels, of which
	// "*" is every one. Default: {"*": ["*"]}.
	Capability map[string][]string `yaml:"capability"`
	// Whether tokens of the key can be revoked. They live for an hour at most, not
	// for a day. Default: false.
	Revocable bool `yaml:"revocable" default:"false"`
}

// A Namespace says what channels are like.
type Namespace struct {
	// How long messages are kept, from 2m. Default: 2m.
	Retention time.Duration `yaml:"retention" default:"2m" min:"2m" max:"8760h"`
	// How many members one channel has at most. Default: 250.
	Members int `yaml:"members" default:"250" min:"1" max:"100000"`
}

// AppLimits bounds what the clients of one app can do. Each node counts by itself.
type AppLimits struct {
	// Size of what is published at once, in bytes. Default: 65536.
	MessageSize int `yaml:"message_size" default:"65536" min:"1" max:"1048576"`
	// How many connections there are at one time. Default: 100000.
	Connections int `yaml:"connections" default:"100000" min:"1" max:"10000000"`
	// How many connections by one key and its tokens there are at one time.
	// Default: 0, any number.
	KeyConnections int `yaml:"key_connections" default:"0" max:"10000000" rule:"zero"`
	// How many connections one client has at one time, where its token says who it
	// is. Default: 10000.
	ClientConnections int `yaml:"client_connections" default:"10000" min:"1" max:"10000000"`
	// How many channels one connection attaches to. Default: 200.
	Channels int `yaml:"channels" default:"200" min:"1" max:"100000"`
	// How many channels there are at one time that somebody uses. Default: 100000.
	AllChannels int `yaml:"all_channels" default:"100000" min:"1" max:"10000000"`
	// How many channels one connection attaches to in a second; at once as many as
	// it may have, or else twice as many. Default: 100.
	AttachRate int `yaml:"attach_rate" default:"100" min:"1" max:"1000000"`
	// How many messages one connection publishes in a second. Default: 1000.
	Rate int `yaml:"rate" default:"1000" min:"1" max:"1000000"`
	// How many messages are published to one channel in a second. Default: 5000.
	ChannelRate int `yaml:"channel_rate" default:"5000" min:"1" max:"1000000"`
	// How many messages are published with one key in a second. Default: 0, any
	// number.
	KeyRate int `yaml:"key_rate" default:"0" max:"10000000" rule:"zero"`
	// How many messages are published in the app in a second. Default: 0, any
	// number.
	AppRate int `yaml:"app_rate" default:"0" max:"10000000" rule:"zero"`
	// How many calls of REST are under way at one time; a page of history, and what
	// else is about many messages or channels, counts as ten. Default: 1000.
	Calls int `yaml:"calls" default:"1000" min:"10" max:"1000000"`
	// The same for one key and its tokens. Default: 500.
	KeyCalls int `yaml:"key_calls" default:"500" min:"10" max:"1000000"`
	// The same for one client, where its token says who it is. Default: 100.
	ClientCalls int `yaml:"client_calls" default:"100" min:"10" max:"1000000"`
}
