package main

import (
	"context"
	"io"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/demo"
)

// A demoCommand runs the demo until the process is told to stop.
type demoCommand struct {
	Listen     string `default:"127.0.0.1:8080" placeholder:"ADDRESS" help:"Where the page is served: a loopback address, since the demo logs in whoever asks. Port 0 takes a free one."`
	NodeChat   string `name:"node-chat" placeholder:"DIR" help:"Folder of a chat in Node, whose server.mjs is run as the second backend; examples/node-chat in Usher's repository. Default: none."`
	SecretFile string `name:"hs256-secret-file" placeholder:"FILE" help:"Sign the demo's tokens with this secret, so that \"usher token --iss usher-demo --aud chat\" can make more. Default: a random secret."`
}

// Run serves until ctx ends.
func (c *demoCommand) Run(ctx context.Context, stdout io.Writer) error {
	o := demo.Options{Listen: c.Listen, NodeChat: c.NodeChat, Explain: explainTo}
	if c.SecretFile != "" {
		key, err := readSecret(c.SecretFile)
		if err != nil {
			return err
		}
		o.Secret = usher.NewSecret(string(key.Key.([]byte)))
	}
	if err := demo.CheckListen(c.Listen); err != nil {
		return usageError{err}
	}
	return demo.Run(ctx, stdout, o)
}

// explainTo writes what "usher explain" prints.
func explainTo(ctx context.Context, out io.Writer, admin, id string) error {
	return (&explainCommand{ID: id, adminFlags: adminFlags{Admin: admin}}).Run(ctx, out)
}
