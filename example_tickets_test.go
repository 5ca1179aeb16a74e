package usher_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/usher-ws/usher"
)

// A backend makes a ticket for its page, and the page's socket redeems it.
func ExampleTickets() {
	var tickets usher.Tickets
	ticket, _, err := tickets.Make(&usher.Identity{Subject: "alice"}, "https://app.example.com", "/chat")
	if err != nil {
		fmt.Println(err)
		return
	}
	credential := usher.Credential{
		Kind: usher.KindTicket, Secret: ticket,
		Origin: "https://app.example.com", Route: "/chat",
	}
	id, err := tickets.Verify(context.Background(), credential)
	fmt.Println(id.Subject, err)
	_, err = tickets.Verify(context.Background(), credential)
	fmt.Println(errors.Is(err, usher.ErrSpent), ticket)
	// Output:
	// alice <nil>
	// true [redacted]
}

// Pages get a ticket with the token they have, and open their socket with it.
func ExampleTickets_Desk() {
	var (
		login   usher.Verifier // Such as a JWT.
		chat    http.Handler   // Such as a handler of coder/websocket.
		tickets usher.Tickets
		origins = []string{"https://app.example.com"}
	)
	desk := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(login)}, Origins: origins}
	door := &usher.Guard{Carriers: []usher.Carrier{usher.Ticket("", &tickets)}, Origins: origins}
	http.Handle("/usher/v1/tickets", tickets.Desk(desk, "/chat"))
	http.Handle("/chat", door.Handler(chat))
}
