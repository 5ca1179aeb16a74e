import type { Attempt } from './credential.js';

export interface Ended {
  code: number;
  reason: string;
  wasClean: boolean;
}

interface Ears {
  open(): void;
  message(event: MessageEvent): void;
  ended(end: Ended): void;
}

/** Time for a `close` event to follow an `error` event, in milliseconds. */
const closeTime = 250;
/** Time for a closing handshake. */
const goodbyeTime = 5_000;

/**
 * One WebSocket of the platform, whose end is told exactly once, whatever the
 * engine does: Chromium has no `close` event where a policy blocks it, nor has
 * Node 22 where nobody listens, other engines throw, and a peer that is gone may
 * never answer a goodbye.
 */
export class Link {
  readonly socket: WebSocket;
  #ears: Ears | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(make: new (url: string, protocols?: string[]) => WebSocket, to: Attempt, ears: Ears) {
    this.#ears = ears;
    this.socket = to.protocols.length > 0 ? new make(to.url, to.protocols) : new make(to.url);
    const { socket } = this;
    socket.onopen = () => {
      if (to.first !== undefined) socket.send(to.first);
      this.#ears?.open();
    };
    socket.onmessage = (event) => this.#ears?.message(event);
    socket.onerror = () => {
      if (socket.readyState !== 1) this.#timer ??= setTimeout(() => this.#end(lost), closeTime);
    };
    socket.onclose = ({ code, reason, wasClean }) => this.#end({ code, reason, wasClean });
  }

  /** Ends it, and waits for the peer's answer at most 5 s. */
  close(code?: number, reason?: string): void {
    this.socket.close(code, reason); // It throws where code or reason may not be.
    this.#timer ??= setTimeout(() => this.#end(lost), goodbyeTime);
  }

  /** Ends it without telling anybody any more. */
  drop(): void {
    this.#ears = undefined;
    clearTimeout(this.#timer);
    const { socket } = this;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {}; // The package ws throws where nobody listens.
    if (socket.readyState < 2) socket.close(1000);
  }

  #end(end: Ended): void {
    clearTimeout(this.#timer);
    const ears = this.#ears;
    this.drop();
    ears?.ended(end);
  }
}

export const lost: Ended = { code: 1006, reason: '', wasClean: false };
