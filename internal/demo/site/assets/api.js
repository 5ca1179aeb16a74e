// The demo's own endpoints: what an application has for logging in.

/** What is thrown where no answer comes at all. */
export class Unanswered extends Error {}

/** Fetches; the browser's words for no answer differ and say little. */
export async function ask(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new Unanswered('The demo’s server does not answer; is it still running?');
  }
}

/** What is thrown where a login is needed and nobody is logged in. */
export class NobodyHere extends Error {}

async function post(path, body, headers = {}) {
  return ask(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}

/** Who is logged in, where the other site is, and what the gateway is. */
export async function about() {
  return (await ask('/demo/about')).json();
}

/** The gateway's figures at this moment. */
export async function figures() {
  const answer = await ask('/demo/figures');
  if (!answer.ok) throw new Error('the gateway does not answer');
  return answer.json();
}

/** What "usher explain" prints for an id. */
export async function explain(id) {
  const answer = await ask(`/demo/explain/${encodeURIComponent(id)}`);
  return answer.ok ? (await answer.json()).text : (await answer.text()).trim();
}

/** Logs in as user; with "" logs out. */
export async function login(user) {
  const answer = await (user ? post('/demo/login', { user }) : post('/demo/logout'));
  if (!answer.ok) throw new Error(`login answered ${answer.status}`);
}

/**
 * A token of a kind: good, brief, expired, forged, opaque or outage. It is asked for at
 * each attempt, and never kept. Throws where nobody is logged in.
 */
export async function token(kind, user = '') {
  const answer = await post('/demo/token', { kind, user });
  if (answer.status === 401) throw new NobodyHere('a token is for who is logged in');
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return (await answer.json()).token;
}

/** Asks the ticket desk; the answer may be a refusal. */
export async function desk(attempt, bearer) {
  return post(`/usher/v1/tickets?route=${attempt.prefix}/chat/ticket&try=${attempt.id}`, undefined, {
    Authorization: `Bearer ${bearer}`,
  });
}

/** Asks for a CSRF token; the cookie goes along by itself. */
export async function csrf(attempt) {
  return post(`/usher/v1/csrf?route=${attempt.prefix}/chat/cookie&try=${attempt.id}`);
}
