package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// maxStreams is how many pages may follow the events at one time; one more is
// answered 503.
const maxStreams = 32

// streamPing keeps proxies and the browser from taking a quiet stream for dead.
const streamPing = 20 * time.Second

// events follows the ring as Server-Sent Events, from the event after the one
// that Last-Event-ID names. It ends with the request's context.
func events(r *ring) http.Handler {
	places := make(chan struct{}, maxStreams)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			http.Error(w, "too many pages follow the events", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		seq, _ := strconv.ParseUint(req.Header.Get("Last-Event-ID"), 10, 64)
		ping := time.NewTicker(streamPing)
		defer ping.Stop()
		control := http.NewResponseController(w)
		fmt.Fprint(w, "retry: 1000\n\n")
		for {
			fresh, changed := r.since(seq)
			for _, e := range fresh {
				text, err := json.Marshal(e)
				if err != nil {
					return
				}
				fmt.Fprintf(w, "id: %d\ndata: %s\n\n", e.Seq, text)
				seq = e.Seq
			}
			if err := control.Flush(); err != nil {
				return
			}
			select {
			case <-req.Context().Done():
				return
			case <-changed:
			case <-ping.C:
				fmt.Fprint(w, ": ping\n\n")
			}
		}
	})
}
