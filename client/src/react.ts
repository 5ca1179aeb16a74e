/** A hook for React: a connection that lives as long as the component. */
import { connect, type Options, type UsherError, type UsherSocket } from '@usher-ws/client';
import { useEffect, useRef, useState } from 'react';

export interface UseSocketOptions extends Options {
  /** Called with each message; always the one of the last render. */
  onMessage?: (event: MessageEvent) => void;
}

export interface SocketState {
  /** `connecting` until it is open for the first time, `down` while it comes back, `closed` when it does not. */
  status: 'connecting' | 'open' | 'down' | 'closed';
  /** Why it is down or closed. */
  error: UsherError | undefined;
  /** To send with, while `status` is `open`. */
  socket: UsherSocket | undefined;
}

const connecting: SocketState = { status: 'connecting', error: undefined, socket: undefined };

/**
 * Connects while the component is there, and anew when the URL changes; null is
 * no connection. Of the options, getToken, getTicket and onMessage are always
 * those of the last render; the others count when it connects.
 */
export function useSocket(url: string | URL | null, options: UseSocketOptions = {}): SocketState {
  const [state, setState] = useState(connecting);
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const to = url === null ? null : String(url);
  useEffect(() => {
    setState(connecting);
    if (to === null) return;
    const { onMessage: _, getToken, getTicket, ...rest } = latest.current;
    const socket = connect(to, {
      ...rest,
      ...(getToken && { getToken: (why, signal) => latest.current.getToken!(why, signal) }),
      ...(getTicket && { getTicket: (why, signal) => latest.current.getTicket!(why, signal) }),
    });
    let here = true;
    const tell = (status: SocketState['status'], error?: UsherError) => here && setState({ status, error, socket });
    socket.addEventListener('open', () => tell('open'));
    socket.addEventListener('down', ({ error }) => tell('down', error));
    socket.addEventListener('close', ({ error }) => tell('closed', error));
    socket.addEventListener('message', (event) => latest.current.onMessage?.(event));
    return () => {
      here = false;
      socket.close();
    };
  }, [to]);
  return state;
}
