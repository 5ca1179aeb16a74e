// Made from the table in internal/law by "make api". Do not edit.

/** What to do after a close code: get a fresh credential, wait, come back at once, or stop. */
export type Then = 'fresh' | 'wait' | 'now' | 'stop';

export const closes: Readonly<Record<number, Then>> = {
  1000: 'stop',
  1001: 'now',
  1002: 'stop',
  1003: 'stop',
  1007: 'stop',
  1008: 'stop',
  1009: 'stop',
  1011: 'wait',
  4401: 'fresh',
  4403: 'stop',
  4408: 'now',
  4429: 'wait',
  4503: 'wait',
};
