import { closes, type Then } from './closes.js';
import { Credentials, type Attempt } from './credential.js';
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
  declare static readonly CONNECTING: 0;
  declare static readonly OPEN: 1;
  declare static readonly CLOSING: 2;
  declare static readonly CLOSED: 3;
  declare readonly CONNECTING: 0;
  declare readonly OPEN: 1;
  declare readonly CLOSING: 2;
  declare readonly CLOSED: 3;

  onopen: Handler<Event> = null;
  onmessage: Handler<MessageEvent> = null;
  ondown: Handler<DownEvent> = null;
  onrenew: Handler<RenewEvent> = null;
  onerror: Handler<FailEvent> = null;
  onclose: Handler<CloseEvent> = null;

  readonly #options: Options;
  readonly #make: NonNullable<Options['WebSocket']>;
  readonly #timeout: number;
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
    this.#make = options.WebSocket ?? globalThis.WebSocket;
    if (!this.#make) throw new TypeError('no WebSocket here: pass one');
    this.#timeout = options.timeout ?? 15_000;
    this.#credentials = new Credentials(url, options, this.#timeout);
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
    this.#timer = setTimeout(() => {
      this.#link?.drop();
      this.#fail(new UsherError('took too long'), 'wait');
    }, this.#timeout);
    try {
      const to = await orAborted(this.#credentials.attempt(why, signal), signal);
      if (!signal.aborted) this.#dial(to);
    } catch (error) {
      if (signal.aborted) return;
      const told = error instanceof UsherError ? error : new UsherError('no credential', { cause: error, status: statusOf(error) });
      this.#fail(told, told.status === 401 ? 'fresh' : isFinal(told.status) ? 'stop' : 'wait');
    }
  }

  #dial(to: Attempt): void {
    this.#waits = to.first !== undefined;
    try {
      this.#link = new Link(this.#make, to, {
        open: () => !this.#waits && this.#open(to.lives),
        message: (event) => this.#message(event),
        ended: (end) => this.#ended(end),
      });
      if (this.#binaryType) this.#link.socket.binaryType = this.#binaryType;
    } catch (error) {
      // A policy of the page, or what no attempt can make better. The platform's
      // own words may quote the URL, and with it the credential.
      this.#finish(lost, new UsherError(`WebSocket: ${(error as Error).name}`));
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
    let again;
    try {
      again = then !== 'stop' && (typeof reconnect === 'function' ? reconnect({ code: end.code, reason: end.reason }) : reconnect);
    } finally {
      // Also where the application's function throws, which the platform reports.
      if (!again) this.#finish(end, error);
    }
    if (!again) return;
    this.#rest();
    this.#state = 0;
    const soon = (then === 'fresh' && this.#refused === 1) || then === 'now';
    const pause = this.#pause(this.#failures++);
    // Tokens say the second that they are from: one from that of a revocation is refused.
    const least = this.#refused > 1 ? 1000 : 0;
    const wait = least + (soon && this.#failures === 1 ? Math.random() * this.#min : pause);
    if (!this.#hidden) this.#timer = setTimeout(() => void this.#attempt(then === 'fresh' ? 'refused' : 'reconnect'), wait);
    this.#tell(event('down', { error, wait: this.#hidden ? Infinity : wait }));
  }

  /** Ends the whole, once. */
  #finish(end: Ended, error?: UsherError): void {
    if (this.#state === 3) return;
    this.#state = 3;
    this.#rest();
    this.#unwatch();
    this.#credentials.close();
    if (error) this.#tell(event('error', { error }));
    this.#tell(event('close', { ...end, error }));
  }

  /** How long to wait after so many failures in a row: longer each time, and never as long as others. */
  #pause(failures: number): number {
    return Math.min(this.#max, this.#min * 2 ** failures) * (0.5 + Math.random() / 2);
  }

  /** Renews in good time: when a fifth is left, and some seconds at least. */
  #plan(lives: number): void {
    const left = lives * 1000;
    const ahead = Math.min(left / 2, Math.max(left / 5, 10_000));
    clearTimeout(this.#renewal);
    const wait = (left - ahead) * (0.9 + Math.random() / 10);
    this.#renewal = setTimeout(() => void this.#renew('renew'), Math.max(this.#min, Math.min(longest, wait || longest)));
  }

  async #renew(why: Why | 'same', failures = 1): Promise<void> {
    const { signal } = this.#turn;
    try {
      const lives = await orAborted(this.#credentials.renew(why, signal), signal);
      if (signal.aborted) return;
      this.#plan(lives);
      this.#tell(event('renew', { expires_in: lives }));
    } catch (error) {
      if (signal.aborted) return;
      const status = statusOf(error);
      // No such session, or it may not: then it ends when it does, and the code says why.
      if (isFinal(status)) return;
      this.#renewal = setTimeout(() => void this.#renew(status === 401 ? 'refused' : why, failures + 1), this.#pause(failures));
    }
  }

  #hide(): void {
    if (this.#state >= 2) return;
    const open = this.#state === 1;
    const error = new UsherError('out of sight');
    this.#rest();
    this.#link?.drop();
    this.#link = undefined;
    if (this.#options.reconnect === false) return this.#finish(lost, error);
    this.#hidden = true;
    this.#state = 0;
    if (open) this.#tell(event('down', { error, wait: Infinity }));
  }

  #show(): void {
    if (!this.#hidden || this.#state !== 0) return;
    this.#hidden = false;
    this.#failures = 0;
    void this.#attempt('reconnect');
  }
}

for (const to of [UsherSocket, UsherSocket.prototype]) Object.assign(to, { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 });

/** The HTTP status that an error speaks of, or 0. */
function statusOf(error: unknown): number {
  return Number((error as { status?: unknown } | undefined)?.status) || 0;
}

/** Whether no other attempt can change this status. */
function isFinal(status: number): boolean {
  return status === 403 || status === 404;
}

function parse(data: unknown): { type?: string; expires_in?: number } | undefined {
  try {
    return typeof data === 'string' ? JSON.parse(data) : undefined;
  } catch {
    return undefined;
  }
}
