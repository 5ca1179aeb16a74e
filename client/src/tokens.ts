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

  constructor(get: NonNullable<Options['getToken']>, share?: string) {
    this.#get = get;
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
      if (this.#channel && !this.#fresh(not)) await this.#hear(Date.now() - since > 5 ? 1_000 : 150);
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
    return this.#held !== undefined && Date.now() < this.#held.until && this.#held.token !== not;
  }

  /** Waits for another tab to say what it has, for some milliseconds. */
  #hear(time: number): Promise<void> {
    return new Promise((resolve) => {
      setTimeout((this.#heard = resolve), time);
      this.#channel?.postMessage('ask');
    });
  }

  async #ask(why: Why, signal: AbortSignal): Promise<void> {
    // A getToken that hangs must not hold the lock for ever.
    const given: Token = await orAborted(Promise.resolve(this.#get(why, signal)), signal);
    const { token, expires_in } = typeof given === 'string' ? { token: given, expires_in: undefined } : given ?? {};
    if (typeof token !== 'string' || token === '') throw new UsherError('getToken returned no token');
    // Without a life it is asked for at every attempt, but for tabs at the same moment.
    const life = expires_in === undefined ? (this.#channel ? unknownLife : 0) : expires_in * 800;
    this.#held = { token, until: Date.now() + life };
    this.#channel?.postMessage(this.#held);
  }
}

/** Settles as the promise does, or fails once the signal is aborted. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
