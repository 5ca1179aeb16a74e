// The ticket desk: pages of listed origins get tickets through CORS, and pages
// of others none, with the victim's session neither.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { admitted, concealed } from './expect.mjs';
import { limit, suite } from './suite.mjs';
import { token } from './tokens.mjs';

const desk = '/usher/v1/tickets?route=%2Fticket%2F%7Bcase%7D';

suite('desk', (tab) => {
  const bearer = (secret) => ({ method: 'POST', headers: { Authorization: `Bearer ${secret}` } });
  const login = () => tab.setCookies([`session=${token(tab.site)}; Path=/usher; Secure; HttpOnly; SameSite=None`]);
  const json = { 'Content-Type': 'application/json' };

  /** What came to the desk and who was let in to it while `work` was done. */
  async function during(work) {
    const before = await tab.site.record();
    const answer = await work();
    const { visits, events } = await tab.site.record();
    return {
      answer,
      visits: visits.slice(before.visits.length).filter((visit) => visit.path === '/usher/v1/tickets'),
      admissions: events.slice(before.events.length).filter((event) => event.kind === 'admitted').length,
    };
  }

  it('a page of a listed origin gets a ticket, and comes in with it', limit, async () => {
    const path = '/ticket/listed';
    const { ticket, bearer: secret } = await tab.ticket('/ticket/{case}', { host: 'other.test' });
    const plan = { url: tab.site.socket(path, { query: { ticket } }), send: ['hello'], replies: 1 };
    const run = await admitted(tab.site, path, await tab.attempt(plan, 'other.test'), { secrets: [ticket, secret] });
    assert.deepEqual(run.header.Origin, [tab.site.origin('other.test')]);
  });

  it('a page of another origin fails at the preflight', limit, async () => {
    const { answer, visits, admissions } = await during(() => tab.ask(desk, bearer(token(tab.site)), 'evil.test'));
    assert.deepEqual(answer, { failed: 'TypeError' });
    assert.deepEqual(visits.map((visit) => [visit.method, visit.status]), [['OPTIONS', 403]]);
    assert.equal(admissions, 0, 'no ticket may be made');
  });

  it('a page of another origin cannot use the victim\'s session', limit, async () => {
    await login();
    const options = { method: 'POST', mode: 'no-cors', credentials: 'include' };
    const { answer, visits, admissions } = await during(() => tab.ask(desk, options, 'evil.test'));
    assert.deepEqual(answer, { failed: 'TypeError' });
    assert.deepEqual(visits.map((visit) => [visit.method, visit.cookies, visit.status]), [['POST', ['session'], 403]]);
    assert.equal(admissions, 0, 'no ticket may be made');
  });

  it('a page of its own uses its session', limit, async () => {
    await login();
    const options = { method: 'POST', headers: json };
    const { answer, admissions } = await during(() => tab.ask(desk, options));
    assert.equal(answer.status, 200);
    assert.ok(JSON.parse(answer.text).ticket.length > 0);
    assert.equal(admissions, 1);
  });

  it('a page of its own that sends what a form could have sent', limit, async () => {
    await login();
    const { answer } = await during(() => tab.ask(desk, { method: 'POST' }));
    assert.equal(answer.status, 403);
    assert.equal(JSON.parse(answer.text).ticket, undefined);
  });

  it('a page can read why there is no ticket', limit, async () => {
    const secret = token(tab.site, { aud: 'mail' });
    for (const host of ['app.test', 'other.test']) {
      const { answer, admissions } = await during(() => tab.ask(desk, bearer(secret), host));
      assert.equal(answer.status, 401);
      const problem = JSON.parse(answer.text);
      assert.equal(problem.status, 401);
      assert.match(problem.explain_id, /^[A-Z2-7]{12}$/);
      concealed(problem, [secret]);
      assert.equal(admissions, 0);
    }
  });
}, { thirdPartyCookies: true });
