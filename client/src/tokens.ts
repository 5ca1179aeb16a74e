import type { Options, Token, Why } from './options.js';
import { UsherError } from './error.js';

interface Held {
  token: string;
  /** Until when it is used without asking anew; by Date.now(), which all tabs share. */
  until: number;
}

/** How long a token that does not say how long it lives is shared among tabs. */
const unknownLife = 5_000;

/**
 * The tokens of one connection, or of all tabs that share a name: then one tab
 * asks, behind a lock, and tells the others. A token is never stored.
 */
export class Tokens {
  #get: NonNullable<Options['getToken']>;
  #lock = '';
  #channel: BroadcastChannel | undefined;
  #held: Held | undefined;
  /** What this tab has shown last. */
  #shown = '';
  #heard: (() => void) | undefined;
  readonly #within: number;

  constructor(get: NonNullable<Options['getToken']>, within: number, share?: string) {
    this.#get = get;
    this.#within = within;
    if (!share || typeof BroadcastChannel === 'undefined' || !globalThis.navigator?.locks) return;
    this.#lock = `usher:${share}`;
    this.#channel = new BroadcastChannel(this.#lock);
    this.#channel.onmessage = ({ data }: MessageEvent<Held | 'ask'>) => {
      if (data !== 'ask') {
        this.#held = data;
        this.#heard?.();
      } else if (this.#fresh('')) this.#channel?.postMessage(this.#held);
    };
  }

  /** Returns a token: to renew, and after one was refused, another than the last. */
  async get(why: Why | 'same', signal: AbortSignal): Promise<string> {
    if (why === 'same') return this.#shown;
    const not = why === 'refused' || why === 'renew' ? this.#shown : '';
    const since = Date.now();
    const get = async () => {
      // Another tab may have one, and surely has where this took a while.
      if (this.#channel && !this.#fresh(not)) await this.#hear(Date.now() - since > 5 ? 1_000 : 150, signal);
      if (!this.#fresh(not)) await this.#ask(why, signal);
    };
    if (!this.#fresh(not)) await (this.#channel ? navigator.locks.request(this.#lock, { signal }, get) : get());
    return (this.#shown = this.#held!.token);
  }

  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
    this.#held = undefined;
  }

  #fresh(not: string): boolean {
    return !!this.#held && Date.now() < this.#held.until && this.#held.token !== not;
  }

  /** Waits for another tab to say what it has, for some milliseconds. */
  async #hear(time: number, signal: AbortSignal): Promise<void> {
    const heard = new Promise<void>((resolve) => (this.#heard = resolve));
    this.#channel?.postMessage('ask');
    await orAborted(heard, signal, time).catch(() => {});
  }

  async #ask(why: Why, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    // A getToken that hangs must not hold the lock for ever.
    const given: Token = await orAborted(this.#get(why, signal), signal, this.#within);
    const { token, expires_in }: Exclude<Token, string> = Object(typeof given === 'string' ? { token: given } : given);
    if (!token || typeof token !== 'string') throw new UsherError('getToken returned no token');
    // Without a life it is asked for at every attempt, but for tabs at the same moment.
    const life = expires_in === undefined ? (this.#channel ? unknownLife : 0) : expires_in * 800;
    this.#held = { token, until: Date.now() + life };
    this.#channel?.postMessage(this.#held);
  }
}

/** Settles as the promise does, or fails once the signal is aborted, or the time is over, in milliseconds. */
export function orAborted<T>(promise: T | Promise<T>, signal: AbortSignal, within?: number): Promise<T> {
  let stop: () => void;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason ?? new UsherError('took too long'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
    if (within) timer = setTimeout(stop, within);
  });
  return Promise.race([promise, over]).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  });
}
