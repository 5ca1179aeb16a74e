/** Why a connection could not be had, or ended. */
export class UsherError extends Error {
  override readonly name = 'UsherError';
  /** The close code, or 0 where there was no connection. */
  readonly code: number;
  /** The HTTP status of the desk, or 0. */
  readonly status: number;
  /** What the server says: `expired`, `forbidden`, `unavailable`, … or what failed here. */
  readonly word: string;
  /** What the operator can look up: `usher explain ID`. Empty where the server gave none. */
  readonly id: string;

  constructor(word: string, { code = 0, status = 0, id = '', cause }: { code?: number; status?: number; id?: string | undefined; cause?: unknown } = {}) {
    super(id ? `${word} (${id})` : word, cause === undefined ? cause : { cause });
    this.word = word;
    this.id = id;
    this.code = code;
    this.status = status;
  }
}

/** Reads a Close frame: the reason is a word, a space and the explain id. */
export function closeError(code: number, reason: string): UsherError {
  const otherwise = reason || (code === 1006 ? 'connection lost' : `closed with ${code}`);
  const [, word = otherwise, id] = /^([a-z_]+) ([A-Z2-7]{12})$/.exec(reason) ?? [];
  return new UsherError(word, { code, id });
}

/** Reads an answer that is no 200: RFC 9457, or whatever stands in between. */
export async function answerError(answer: Response): Promise<UsherError> {
  const { status } = answer;
  const { detail, title, explain_id: id } = Object(await answer.json().catch(() => 0));
  return new UsherError(`${detail || title || `HTTP ${status}`}`, { status, id });
}
