import { closes, type Then } from './closes.js';
import { Credentials } from './credential.js';
import { closeError, UsherError } from './error.js';
import { event, type CloseEvent, type DownEvent, type FailEvent, type RenewEvent, type SocketEvents } from './events.js';
import { Link, lost, type Ended } from './link.js';
import type { Options, Why } from './options.js';
import { watch } from './page.js';
import { orAborted } from './tokens.js';

/** How many fresh credentials in a row may be refused. */
const refusals = 2;
/** Timers of the platform end here. */
const longest = 2 ** 31 - 1;

type Handler<E> = ((this: UsherSocket, event: E) => unknown) | null;

/** The listeners that it takes, besides those of EventTarget. */
export interface UsherSocket {
  addEventListener<K extends keyof SocketEvents>(
    type: K,
    listener: ((this: UsherSocket, event: SocketEvents[K]) => unknown) | EventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}

/**
 * A WebSocket that proves who it is at every attempt, comes back when it is
 * lost, and is renewed before its session ends. It has the interface of
 * WebSocket: `readyState` is CONNECTING while it comes back, `open` is told each
 * time, and `close` once, when it does not come back.
 */
export class UsherSocket extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;

  onopen: Handler<Event> = null;
  onmessage: Handler<MessageEvent> = null;
  ondown: Handler<DownEvent> = null;
  onrenew: Handler<RenewEvent> = null;
  onerror: Handler<FailEvent> = null;
  onclose: Handler<CloseEvent> = null;

  readonly #options: Options;
  readonly #credentials: Credentials;
  readonly #min: number;
  readonly #max: number;
  #state: 0 | 1 | 2 | 3 = 0;
  #binaryType: BinaryType | undefined;
  #link: Link | undefined;
  /** Of the attempt or the connection: its end ends all that was begun for it. */
  #turn = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #refused = 0;
  #hidden = false;
  /** Until the answer to a first message: open, and not in yet. */
  #waits = false;
  #unwatch: () => void;

  constructor(url: string | URL, options: Options = {}) {
    super();
    this.#options = options;
    this.#credentials = new Credentials(url, options);
    this.#min = options.backoff?.min ?? 500;
    this.#max = Math.max(this.#min, options.backoff?.max ?? 30_000);
    this.#unwatch = watch({ hide: () => this.#hide(), show: () => this.#show() });
    // Listeners are added first.
    queueMicrotask(() => this.#state === 0 && void this.#attempt('connect'));
  }

  /** The URL, without a credential. */
  get url(): string {
    return this.#credentials.url.href;
  }
  get readyState(): number {
    return this.#state;
  }
  get protocol(): string {
    return this.#link?.socket.protocol ?? '';
  }
  get extensions(): string {
    return this.#link?.socket.extensions ?? '';
  }
  get bufferedAmount(): number {
    return this.#link?.socket.bufferedAmount ?? 0;
  }
  get binaryType(): BinaryType {
    return this.#binaryType ?? 'blob';
  }
  set binaryType(type: BinaryType) {
    this.#binaryType = type;
    if (this.#link) this.#link.socket.binaryType = type;
  }

  /** Sends a message. Like WebSocket's it throws while connecting, and drops what comes after the end. */
  send(data: Parameters<WebSocket['send']>[0]): void {
    if (this.#state === 0) throw new DOMException('still connecting', 'InvalidStateError');
    if (this.#state === 1) this.#link!.socket.send(data);
  }

  /** Ends it for good: no timer, lock or listener is left. */
  close(code?: number, reason?: string): void {
    if (this.#state >= 2) return;
    // It throws where the platform's does: then nothing has changed.
    if (this.#state === 1) this.#link!.close(code, reason);
    else {
      this.#link?.drop();
      queueMicrotask(() => this.#finish(lost));
    }
    this.#state = 2;
    this.#rest();
  }

  #tell(event: Event): void {
    const handler = this[`on${event.type}` as 'onopen'];
    // As a listener, so that the platform reports it if it throws.
    if (handler) this.addEventListener(event.type, handler as EventListener, { once: true });
    this.dispatchEvent(event);
  }

  /** Ends what was begun for the last attempt or connection. */
  #rest(): AbortSignal {
    this.#turn.abort(new UsherError('given up'));
    this.#turn = new AbortController();
    clearTimeout(this.#timer);
    clearTimeout(this.#renewal);
    return this.#turn.signal;
  }

  async #attempt(why: Why): Promise<void> {
    const signal = this.#rest();
    const { timeout = 15_000 } = this.#options;
    this.#timer = setTimeout(() => {
      this.#link?.drop();
      this.#fail(new UsherError('attempt took too long'), 'wait');
    }, timeout);
    try {
      const to = await orAborted(this.#credentials.attempt(why, signal), signal);
      this.#waits = to.first !== undefined;
      const make = this.#options.WebSocket ?? globalThis.WebSocket;
      if (!make) throw new UsherError('there is no WebSocket here: pass one in the options');
      this.#link = new Link(make, to, {
        open: () => !this.#waits && this.#open(to.lives),
        message: (event) => this.#message(event),
        ended: (end) => this.#ended(end),
      });
      if (this.#binaryType) this.#link.socket.binaryType = this.#binaryType;
    } catch (error) {
      if (signal.aborted) return;
      const { name } = error as Error;
      const told = error instanceof UsherError ? error : new UsherError('no credential', { cause: error });
      // A CSP, or a URL that no attempt can make better.
      if (name === 'SecurityError' || name === 'SyntaxError') return this.#stop(told);
      this.#fail(told, told.status === 401 ? 'fresh' : told.status === 403 || told.status === 404 ? 'stop' : 'wait');
    }
  }

  #open(lives?: number): void {
    clearTimeout(this.#timer);
    this.#waits = false;
    this.#state = 1;
    const { renews } = this.#credentials;
    // Usher accepts and then closes, so that a page can read why: only what lasts
    // was admitted. A server that ends each connection is not stormed either.
    this.#timer = setTimeout(() => {
      this.#failures = this.#refused = 0;
      // The token that it came with tells when to renew.
      if (renews && lives === undefined) void this.#renew('same');
    }, 1000 + this.#min);
    if (renews && lives !== undefined) this.#plan(lives);
    this.#tell(event('open'));
  }

  #message(event: MessageEvent): void {
    if (this.#waits) {
      const answer = parse(event.data);
      if (answer?.type === 'auth_ok') return this.#open(answer.expires_in);
    }
    const { data, origin } = event;
    this.#tell(new MessageEvent('message', { data, origin: origin ?? '' }));
  }

  #ended(end: Ended): void {
    if (this.#state === 2) return this.#finish(end);
    const error = closeError(end.code, end.reason);
    const then: Then = closes[end.code] ?? 'wait';
    this.#fail(error, then, end);
  }

  /** Decides what follows an attempt or a connection that has ended. */
  #fail(error: UsherError, then: Then, end: Ended = lost): void {
    this.#link = undefined;
    const { reconnect = true } = this.#options;
    if (then === 'fresh' && ++this.#refused > refusals) then = 'stop';
    const again = typeof reconnect === 'function' ? reconnect({ code: end.code, reason: end.reason }) : reconnect;
    if (then === 'stop' || !again) return this.#stop(error, end);
    this.#rest();
    this.#state = 0;
    const soon = (then === 'fresh' && this.#refused === 1) || then === 'now';
    const top = Math.min(this.#max, this.#min * 2 ** this.#failures++);
    // Tokens say the second that they are from: one from that of a revocation is refused.
    const least = this.#refused > 1 ? 1000 : 0;
    const wait = least + (soon && this.#failures === 1 ? Math.random() * this.#min : top * (0.5 + Math.random() / 2));
    if (!this.#hidden) this.#timer = setTimeout(() => void this.#attempt(then === 'fresh' ? 'refused' : 'reconnect'), wait);
    this.#tell(event('down', { error, wait: this.#hidden ? Infinity : wait }));
  }

  #stop(error: UsherError, end: Ended = lost): void {
    this.#state = 2;
    this.#rest();
    this.#finish(end, error);
  }

  #finish(end: Ended, error?: UsherError): void {
    if (this.#state === 3) return;
    this.#state = 3;
    this.#rest();
    this.#unwatch();
    this.#credentials.close();
    if (error) this.#tell(event('error', { error }));
    this.#tell(event('close', { ...end, error }));
  }

  /** Renews in good time: when a fifth is left, and some seconds at least. */
  #plan(lives: number): void {
    const left = lives * 1000;
    const ahead = Math.min(left / 2, Math.max(left / 5, 10_000));
    clearTimeout(this.#renewal);
    this.#renewal = setTimeout(() => void this.#renew('renew'), Math.min(longest, (left - ahead) * (0.9 + Math.random() / 10)));
  }

  async #renew(why: Why | 'same'): Promise<void> {
    const { signal } = this.#turn;
    try {
      const lives = await orAborted(this.#credentials.renew(why, signal), signal);
      if (signal.aborted) return;
      this.#plan(lives);
      this.#tell(event('renew', { expires_in: lives }));
    } catch (error) {
      if (signal.aborted) return;
      const { status } = error as UsherError;
      // No such session, or it may not: then it ends when it does, and the code says why.
      if (status === 403 || status === 404) return;
      this.#renewal = setTimeout(() => void this.#renew(status === 401 ? 'refused' : why), this.#min * (2 + Math.random() * 2));
    }
  }

  #hide(): void {
    if (this.#state >= 2) return;
    this.#hidden = true;
    const open = this.#state === 1;
    this.#rest();
    this.#link?.drop();
    this.#link = undefined;
    this.#state = 0;
    if (open) this.#tell(event('down', { error: new UsherError('out of sight'), wait: Infinity }));
  }

  #show(): void {
    const back = this.#hidden;
    this.#hidden = false;
    if (this.#state !== 0 || (!back && this.#link)) return;
    this.#failures = 0;
    void this.#attempt('reconnect');
  }
}

function parse(data: unknown): { type?: string; expires_in?: number } | undefined {
  try {
    return typeof data === 'string' ? JSON.parse(data) : undefined;
  } catch {
    return undefined;
  }
}
