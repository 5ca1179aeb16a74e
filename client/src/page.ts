interface Watch {
  /** The page goes out of sight behind the back button, or for good. */
  hide(): void;
  /** It is back, or the network is, or the machine has slept. */
  show(): void;
}

/** A timer that is this late means that nothing ran meanwhile, in milliseconds. */
const slept = 30_000;
const every = 10_000;

/** Calls back as the page comes and goes, until the function that it returns is called. */
export function watch({ hide, show }: Watch): () => void {
  const page = typeof document === 'undefined' ? undefined : globalThis;
  const off = new AbortController();
  const on = (name: string, f: (event: Event) => void) => globalThis.addEventListener?.(name, f, { signal: off.signal });
  on('online', show);
  let last = Date.now();
  const wake = () => {
    const late = Date.now() - last - every;
    last = Date.now();
    if (late > slept) {
      // The socket may be dead without anybody having said so.
      hide();
      show();
    }
  };
  const timer = setInterval(wake, every);
  (timer as { unref?: () => void }).unref?.();
  if (page) {
    // Chromium keeps the socket of a page that is kept for the back button open,
    // and what the server sends is lost.
    on('pagehide', hide);
    on('pageshow', (event) => {
      if ((event as PageTransitionEvent).persisted) show();
    });
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && wake(), { signal: off.signal });
    document.addEventListener('resume', wake, { signal: off.signal });
  }
  return () => {
    clearInterval(timer);
    off.abort();
  };
}
