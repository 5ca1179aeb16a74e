// The client of graphql-ws over the client of Usher. Each attempt of graphql-ws
// is one attempt here, with a ticket of its own; the session is renewed while
// subscriptions go on.
import { UsherSocket } from '@usher-ws/client';
import { createClient } from 'graphql-ws';

/** Returns a client for a GraphQL server behind Usher. `options` are those of Usher's client. */
export function createAuthenticatedClient(url, options) {
  class Authenticated extends UsherSocket {
    constructor(to, protocols) {
      super(to, { ...options, protocols, reconnect: false });
    }

    dispatchEvent(event) {
      // graphql-ws gives up at 4401. Here it says: come again, with a fresh credential.
      if (event.type === 'close' && event.code === 4401) event.code = 4499;
      return super.dispatchEvent(event);
    }
  }
  return createClient({ url, webSocketImpl: Authenticated, shouldRetry: () => true, retryAttempts: 10 });
}
