//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/usher-ws/usher/test/load/epoll"
)

// hubRequests prepares n connections to a hub, and warm ones before them, all
// with tokens of their own, each attached to the channel that channel names.
func (b *bench) hubRequests(c contender, n int, channel func(i int) string) (warm, all []epoll.Request, err error) {
	made, err := b.hubTokens(c.algorithm, warming+n)
	if err != nil {
		return nil, nil, err
	}
	list := make([]epoll.Request, len(made))
	for i, t := range made {
		list[i] = c.speaks.request(t, channel(i))
	}
	return list[:warming], list[warming:], nil
}

// none and room are the channels of rows that have none, and one.
func none(int) string { return "" }
func room(int) string { return "room" }

func measureHubConnect(_ context.Context, b *bench, c contender, r *running) (sample, error) {
	warm, all, err := b.hubRequests(c, b.fits(b.connects, false), none)
	if err != nil {
		return nil, err
	}
	return b.connect(r, warm, all)
}

func measureHubReconnect(_ context.Context, b *bench, c contender, r *running) (sample, error) {
	warm, all, err := b.hubRequests(c, b.fits(b.connects, false), none)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i] = warm[i%len(warm)]
	}
	return b.connect(r, warm, all)
}

func measureHubMemory(_ context.Context, b *bench, c contender, r *running) (sample, error) {
	n := b.fits(b.connections, false)
	warm, all, err := b.hubRequests(c, n, room)
	if err != nil {
		return nil, err
	}
	return b.memoryOf(r, warm[:min(len(warm), (n+9)/10)], all, func(*epoll.Client) error { return nil })
}

// underWay is how many messages of a channel are under way at a time.
const underWay = 32

// measureFanout has one publisher and many subscribers, as fast as it goes. The
// deliveries are so many times those of the options.
func measureFanout(subscribers, times int) func(context.Context, *bench, contender, *running) (sample, error) {
	return func(_ context.Context, b *bench, c contender, r *running) (sample, error) {
		n := b.fits(min(subscribers, b.connections), false)
		return b.fanOut(c, r, n, epoll.Load{Each: max(1, times*b.deliveries/n), Window: underWay})
	}
}

// measurePaced is measureFanout with 20 messages in a second.
func measurePaced(subscribers int) func(context.Context, *bench, contender, *running) (sample, error) {
	return func(_ context.Context, b *bench, c contender, r *running) (sample, error) {
		const every = time.Second / 20
		n := b.fits(min(subscribers, b.connections), false)
		return b.fanOut(c, r, n, epoll.Load{Each: int(max(1, b.paced/every)), Every: every})
	}
}

// fanOut has one connection publish to n.
func (b *bench) fanOut(c contender, r *running, n int, load epoll.Load) (sample, error) {
	_, all, err := b.hubRequests(c, n, room)
	if err != nil {
		return nil, err
	}
	made, err := b.hubTokens(c.algorithm, 1)
	if err != nil {
		return nil, err
	}
	publisher := c.speaks.request(made[0], "")
	publisher.Publishes = c.publishes("room", load.Each)
	s, err := b.publish(c, r, append(all, publisher), load, load.Each*n)
	if err != nil {
		return nil, err
	}
	s["subscribers"] = float64(n)
	return s, nil
}

// measureOneToOne has channels of two, each with so many messages under way.
func measureOneToOne(underWay int) func(context.Context, *bench, contender, *running) (sample, error) {
	return func(_ context.Context, b *bench, c contender, r *running) (sample, error) {
		n := min(1000, max(1, b.connections/2))
		load := epoll.Load{Each: max(1, underWay*b.exchanges/n), Window: underWay}
		_, all, err := b.hubRequests(c, 2*n, func(i int) string {
			if i%2 == 0 {
				return pair((i - warming) / 2)
			}
			return ""
		})
		if err != nil {
			return nil, err
		}
		for i := range all {
			all[i].Channel = i / 2
			if i%2 == 1 {
				all[i].Publishes = c.publishes(pair(i/2), load.Each)
			}
		}
		return b.publish(c, r, all, load, n*load.Each)
	}
}

// pair is the channel of two.
func pair(i int) string { return fmt.Sprintf("pair-%04d", i) }

// warmingUp is what part of the messages that are measured comes before them.
const warmingUp = 5

// publishes are the messages of a publisher that sends each, and those before
// them for warming.
func (c contender) publishes(channel string, each int) (list epoll.Frames) {
	for i := range each + each/warmingUp + 1 {
		list.Add(c.speaks.publish(channel, i))
	}
	return list
}

// publish opens the connections, and measures what a load is for each of n
// operations.
func (b *bench) publish(c contender, r *running, all []epoll.Request, load epoll.Load, n int) (sample, error) {
	client, err := warmed(r, all, b.atOnce)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	load.Ack, load.Mark = c.speaks.ack, mark
	warm := load
	warm.Each = load.Each/warmingUp + 1
	if _, err := client.Publish(warm); err != nil {
		return nil, err
	}
	o, cost, err := timed(r, func() (epoll.Outcome, error) { return client.Publish(load) })
	if err != nil {
		return nil, err
	}
	return perOperation(o, cost, n), admitted(client)
}
