/** Why a credential is asked for. After `refused` the last one was not accepted. */
export type Why = 'connect' | 'reconnect' | 'refused' | 'renew';

/** A token, and how many seconds it is good for if that is known. */
export type Token = string | { token: string; expires_in?: number };

/** A ticket, as the desk answers it. */
export type Ticket = string | { ticket: string; session_expires_in?: number };

/**
 * How the credential travels. `ticket` is the safe way, and the default: it admits
 * once, so it may be seen in logs. `cookie` leaves it to the browser.
 */
export type Carrier = 'ticket' | 'subprotocol' | 'first_message' | 'query' | 'cookie';

export interface Options {
  /**
   * Returns the token to connect with. It is asked at every attempt and before
   * each renewal, unless the last token said that it is good for longer. With
   * the carrier `ticket` the token is shown to the desk; with `cookie` it is the
   * CSRF token. Where it fails it is asked again, unless its error has the `status`
   * 403 or 404. Default: the desk judges the page's cookie.
   */
  getToken?: (why: Why, signal: AbortSignal) => Token | Promise<Token>;
  /** Returns a ticket, for those who do not use the desk. It is asked at every attempt. */
  getTicket?: (why: Why, signal: AbortSignal) => Ticket | Promise<Ticket>;
  /** Default: `ticket`. */
  carrier?: Carrier;
  /** The application's own subprotocols. The carrier `subprotocol` needs one. Default: none. */
  protocols?: string | string[];
  /** The route, as the gateway calls it. Default: the path of the URL. */
  route?: string;
  /** The query parameter of a ticket or token. Default: `ticket`, `access_token` or `csrf_token`. */
  param?: string;
  /** Where tickets are. Default: `/usher/v1/tickets` at the URL's host. */
  desk?: string | URL;
  /**
   * Where live connections are renewed, or false to let them end with their
   * credential. Default: `/usher/v1/sessions/renew` at the URL's host; false with
   * the carrier `cookie` and with `getTicket`.
   */
  renewal?: string | URL | false;
  /**
   * The name of the login: the same in all tabs of one person, and of nobody
   * else. They then ask for one token together. Default: each tab asks for its own.
   */
  share?: string;
  /**
   * Whether a connection that ended comes back: false for never, or a function
   * that is asked about each end which is not final by itself. Default: true.
   */
  reconnect?: boolean | ((end: { code: number; reason: string }) => boolean);
  /** The shortest and longest wait between attempts, in milliseconds. Default: 500 and 30,000. */
  backoff?: { min?: number; max?: number };
  /** How long an attempt may take, the credential included, in milliseconds. Default: 15,000. */
  timeout?: number;
  /** Default: that of the platform. Node 20 has none: pass that of the package `ws`. */
  WebSocket?: new (url: string, protocols?: string[]) => WebSocket;
  /** Default: that of the platform. */
  fetch?: typeof fetch;
}
