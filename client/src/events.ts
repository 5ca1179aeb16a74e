import type { UsherError } from './error.js';

/** The end of the whole: it does not come back. */
export interface CloseEvent extends Event {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  /** Why, unless close() was called. */
  readonly error: UsherError | undefined;
}

/** A connection or an attempt has ended, and another will follow. */
export interface DownEvent extends Event {
  readonly error: UsherError;
  /** In how many milliseconds the next attempt begins; Infinity while the page is out of sight. */
  readonly wait: number;
}

/** What failed, before `close`. */
export interface FailEvent extends Event {
  readonly error: UsherError;
}

/** The session was renewed. */
export interface RenewEvent extends Event {
  /** For how many seconds. */
  readonly expires_in: number;
}

export interface SocketEvents {
  /** Connected, again after each `down`. */
  open: Event;
  message: MessageEvent;
  /** Disconnected, and coming back. */
  down: DownEvent;
  renew: RenewEvent;
  error: FailEvent;
  close: CloseEvent;
}

/** Makes an event with these members. */
export function event(type: keyof SocketEvents, members: object = {}): Event {
  return Object.assign(new Event(type), members);
}
