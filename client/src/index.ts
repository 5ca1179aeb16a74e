/** A WebSocket that proves who it is, and stays. */
import type { Options } from './options.js';
import { UsherSocket } from './socket.js';

export type { Carrier, Options, Ticket, Token, Why } from './options.js';
export type { CloseEvent, DownEvent, FailEvent, RenewEvent, SocketEvents } from './events.js';
export { UsherError } from './error.js';
export { UsherSocket };

/**
 * Connects to a WebSocket behind Usher. The answer is there at once; listen to
 * `open`, `message`, `down` and `close`.
 */
export function connect(url: string | URL, options: Options = {}): UsherSocket {
  return new UsherSocket(url, options);
}
