import type { Carrier, Options, Ticket, Why } from './options.js';
import { answerError, UsherError } from './error.js';
import { Tokens } from './tokens.js';

/** What an attempt goes out with. */
export interface Attempt {
  url: string;
  protocols: string[];
  /** Sent as soon as the connection is open. */
  first?: string;
  /** Seconds until the session ends, where the desk has said so. */
  lives?: number | undefined;
}

/** A header that no form can send: the desk wants one beside a cookie. */
const ofPage = { 'X-Requested-With': 'usher' };

/** Where credentials come from, and how they travel. */
export class Credentials {
  readonly url: URL;
  readonly #options: Options;
  readonly #carrier: Carrier;
  readonly #protocols: string[];
  readonly #tokens: Tokens | undefined;
  readonly #fetch: typeof fetch;

  constructor(url: string | URL, options: Options, timeout: number) {
    this.url = new URL(url, globalThis.location?.href);
    this.url.protocol = this.url.protocol.replace(/^http/, 'ws');
    const { protocol, hash, username, password } = this.url;
    if (!/^wss?:$/.test(protocol) || hash || username || password) {
      throw new SyntaxError('want a ws URL without fragment and credentials');
    }
    this.#options = options;
    this.#carrier = options.carrier ?? 'ticket';
    this.#protocols = [options.protocols ?? []].flat();
    this.#fetch = options.fetch ?? globalThis.fetch;
    if (options.getToken) this.#tokens = new Tokens(options.getToken, timeout, options.share);
    const needs = this.#carrier === 'subprotocol' && !this.#protocols.length ? 'protocols, for the server to select one'
      : !this.#tokens && /subpr|first|query/.test(this.#carrier) ? 'getToken'
      : '';
    if (needs) throw new TypeError(`the carrier ${this.#carrier} needs ${needs}`);
  }

  /** Whether there is something to renew with. */
  get renews(): boolean {
    const { renewal, getTicket } = this.#options;
    return renewal !== false && (renewal !== undefined || (!getTicket && this.#carrier !== 'cookie'));
  }

  /** Makes what the next attempt goes out with. */
  async attempt(why: Why, signal: AbortSignal): Promise<Attempt> {
    const to: Attempt = { url: this.url.href, protocols: [...this.#protocols] };
    switch (this.#carrier) {
      case 'ticket': {
        const given = await this.#ticket(why, signal);
        const { ticket, session_expires_in: lives }: Exclude<Ticket, string> = Object(typeof given === 'string' ? { ticket: given } : given);
        if (!ticket || typeof ticket !== 'string') throw new UsherError('no ticket in the answer');
        to.lives = lives;
        // Beside a subprotocol it is not even in the URL.
        if (to.protocols.length > 0) to.protocols.push(`usher.ticket.${ticket}`);
        else to.url = this.#with('ticket', ticket);
        break;
      }
      case 'subprotocol':
        to.protocols.push(`usher.bearer.${base64url(await this.#token(why, signal))}`);
        break;
      case 'query':
        to.url = this.#with('access_token', await this.#token(why, signal));
        break;
      case 'first_message':
        to.first = JSON.stringify({ type: 'auth', token: await this.#token(why, signal), ack: true });
        break;
      case 'cookie':
        if (this.#tokens) to.url = this.#with('csrf_token', await this.#token(why, signal));
    }
    return to;
  }

  /** Renews the session's live connections, and returns for how many seconds. */
  async renew(why: Why | 'same', signal: AbortSignal): Promise<number> {
    const { renewal } = this.#options;
    const { expires_in } = (await this.#post(renewal || '/usher/v1/sessions/renew', why, signal)) as { expires_in: number };
    if (!(expires_in >= 0)) throw new UsherError('no expires_in in the answer');
    return expires_in;
  }

  close(): void {
    this.#tokens?.close();
  }

  #token(why: Why | 'same', signal: AbortSignal): Promise<string> {
    return this.#tokens!.get(why, signal);
  }

  async #ticket(why: Why, signal: AbortSignal): Promise<Ticket> {
    const { getTicket, desk, route } = this.#options;
    if (getTicket) return getTicket(why, signal);
    const at = this.#http(desk ?? '/usher/v1/tickets');
    if (!desk || route) at.searchParams.set('route', route ?? this.url.pathname);
    return (await this.#post(at, why, signal)) as Ticket;
  }

  /** Asks an endpoint: with a token, or with the page's cookie. */
  async #post(to: string | URL, why: Why | 'same', signal: AbortSignal): Promise<unknown> {
    const bearer = this.#tokens && this.#carrier !== 'cookie';
    const headers: Record<string, string> = bearer
      ? { Authorization: `Bearer ${await this.#token(why, signal)}` }
      : ofPage;
    const credentials = bearer ? 'omit' : 'include';
    const answer = await this.#fetch.call(globalThis, this.#http(to), { method: 'POST', headers, credentials, signal, cache: 'no-store' });
    if (!answer.ok) throw await answerError(answer);
    return answer.json();
  }

  #http(to: string | URL): URL {
    const base = new URL(this.url);
    base.protocol = base.protocol.replace('ws', 'http');
    return new URL(to, base);
  }

  #with(name: string, value: string): string {
    const url = new URL(this.url);
    url.searchParams.set(this.#options.param ?? name, value);
    return url.href;
  }
}

function base64url(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)))
    .replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
}
