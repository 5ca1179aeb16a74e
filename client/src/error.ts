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

  constructor(word: string, at: { code?: number; status?: number; id?: string; cause?: unknown } = {}) {
    const id = at.id ?? '';
    super(id && !word.endsWith(id) ? `${word} (${id})` : word, 'cause' in at ? { cause: at.cause } : undefined);
    this.word = word;
    this.id = id;
    this.code = at.code ?? 0;
    this.status = at.status ?? 0;
  }
}

/** Reads a Close frame: the reason is a word, a space and the explain id. */
export function closeError(code: number, reason: string): UsherError {
  const [, word, id] = /^([a-z_]+) ([A-Z2-7]{12})$/.exec(reason) ?? [];
  return new UsherError(word ?? (reason || (code === 1006 ? 'connection lost' : `closed with ${code}`)), {
    code,
    ...(id ? { id } : {}),
  });
}

/** Reads an answer that is no 200: RFC 9457. */
export async function answerError(answer: Response): Promise<UsherError> {
  const problem: unknown = await answer.json().catch(() => undefined);
  const { detail, title, explain_id } = (typeof problem === 'object' && problem ? problem : {}) as Record<string, unknown>;
  const word = [detail, title].find((text) => typeof text === 'string' && text !== '') as string | undefined;
  return new UsherError(word ?? `HTTP ${answer.status}`, {
    status: answer.status,
    ...(typeof explain_id === 'string' ? { id: explain_id } : {}),
  });
}
