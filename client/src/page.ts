interface Watch {
  /** The page goes out of sight behind the back button, or for good. */
  hide(): void;
  /** It is back. */
  show(): void;
}

/**
 * A timer that is this late means that nothing ran meanwhile, in milliseconds.
 * Chromium lets a page that is long out of sight run once a minute.
 */
const slept = 90_000;
const every = 10_000;

/** Calls back as page and network come and go, until the function that it returns is called. */
export function watch({ hide, show }: Watch): () => void {
  const off = new AbortController();
  // Node has no such events, and workers have not all.
  const on = (name: string, f: (event: Event) => void) => globalThis.addEventListener?.(name, f, off);
  // The socket may be dead without anybody having said so.
  const again = () => {
    hide();
    show();
  };
  let last = Date.now();
  const wake = () => {
    const late = Date.now() - last - every;
    last = Date.now();
    if (late > slept) again();
  };
  const timer = setInterval(wake, every);
  (timer as { unref?: () => void }).unref?.();
  on('visibilitychange', wake);
  on('online', again);
  // Chromium keeps the socket of a page that is kept for the back button open,
  // and what the server sends is lost.
  on('pagehide', hide);
  on('pageshow', show);
  return () => {
    clearInterval(timer);
    off.abort();
  };
}
