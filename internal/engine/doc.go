// Package engine keeps what the nodes of a site share: the ids that were spent,
// the revocations, the API keys, what tokens and logins are about; and it
// carries renewals and revocations between them. Package server opens it. It
// knows no HTTP and no configuration.
//
// There is one implementation over NATS JetStream, for a server inside this
// process and for a cluster that is run elsewhere, and one in this process's
// memory. They pass the same suite, package enginetest.
//
// Nothing is decided by reading first and writing then: of racing writes the
// store lets one win. What is not known is an error, and whoever asked refuses.
//
// # In a NATS cluster
//
// Servers of version 2.11 or later, with JetStream. The buckets are the streams
// KV_usher_spent, KV_usher_revocations, KV_usher_keys and KV_usher_secrets, with
// tokens of the site's own KV_usher_families, with logins KV_usher_logins, and with
// the hub KV_usher_apps. The account belongs to Usher alone: whoever can write to
// it can revoke, renew and make keys. A user that may do no more than the nodes need has these permissions:
//
//	publish:
//	  $KV.usher_spent.>  $KV.usher_revocations.>  $KV.usher_keys.>  $KV.usher_secrets.>
//	  $KV.usher_families.>  $KV.usher_logins.>  $KV.usher_apps.>
//	  $JS.API.STREAM.INFO.KV_usher_*
//	  $JS.API.STREAM.CREATE.KV_usher_*
//	  $JS.API.STREAM.MSG.GET.KV_usher_*
//	  $JS.API.CONSUMER.CREATE.KV_usher_*
//	  $JS.API.CONSUMER.DELETE.KV_usher_*.*
//	  $JS.FC.>  usher.>  _INBOX.>
//	subscribe:
//	  usher.>  _INBOX.>
//
// With the hub, its log is the streams usher_brief_0 to usher_brief_7 and
// usher_kept_0 to usher_kept_7, and the nodes may publish to these too:
//
//	$JS.API.STREAM.INFO.usher_*
//	$JS.API.STREAM.CREATE.usher_*
//	$JS.API.STREAM.UPDATE.usher_*
//	$JS.API.STREAM.MSG.GET.usher_*
//	$JS.API.DIRECT.GET.usher_*
//
// NATS takes "*" for a whole part of a subject only: each KV_usher_* and usher_*
// stands for the names.
//
// What a NATS server has acknowledged is on its disk at once only where it is
// told "sync: always"; see its documentation. The server inside the process is.
//
// # The hub's log
//
// [OpenLog] opens the log of the hub's channels, with a connection, and inside
// the process a server, of its own: messages are many, and a [Durability] says
// what they survive. Channels are spread over a few streams. A message has its
// place by its number in the stream, is in there once by its id, and goes from
// there to the nodes that follow its channel, with the number of the one before,
// by which a node sees that it has missed something. Whoever begins to follow a
// channel in a cluster first sends its stream a message that is refused: with the
// answer the subscription has come to the stream's server, too.
package engine
