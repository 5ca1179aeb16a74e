// Basic, whose passwords browsers keep and send by themselves: a wrong one must
// be answered so that they forget it.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { attempt } from './attempt.mjs';
import { admitted, refused, turnedAway } from './expect.mjs';
import { limit, suite } from './suite.mjs';

const right = 'correct%20horse';

suite('Basic', (tab) => {
  const plan = (path, user, password) => ({
    url: tab.site.socket(path, { userinfo: user && `${user}:${password}` }),
    protocols: ['chat.v1'],
    send: ['hello'],
    replies: 1,
  });

  /** Tries one after the other, in a browser that has no password yet. */
  async function attempts(t, plans) {
    const { page, close } = await tab.stranger();
    t.after(close);
    const all = [];
    for (const one of plans) all.push(await page.evaluate(attempt, one));
    return all;
  }

  it('no credential: a challenge, which the page does not see', limit, async (t) => {
    const path = '/basic/none';
    const [seen] = await attempts(t, [plan(path)]);
    const visits = await turnedAway(tab.site, path, seen, { status: 401 });
    assert.match(visits[0].challenge, /^Basic /);
  });

  for (const [name, user, password] of [['wrong password', 'ann', 'wrong'], ['unknown user', 'eve', right]]) {
    it(`${name}: a challenge once more`, limit, async (t) => {
      const path = `/basic/${name.replace(' ', '-')}`;
      const [seen] = await attempts(t, [plan(path, user, password)]);
      const visits = await turnedAway(tab.site, path, seen, { status: 401 });
      assert.deepEqual(visits.map((visit) => visit.authorization), [false, true]);
      assert.ok(visits.every((visit) => visit.challenge.startsWith('Basic ')));
    });
  }

  it('the right password after a wrong one', limit, async (t) => {
    const [wrong, good] = ['/basic/mistyped', '/basic/corrected'];
    const [, seen] = await attempts(t, [plan(wrong, 'ann', 'wrong'), plan(good, 'ann', right)]);
    assert.deepEqual(await tab.site.runs(wrong), []);
    await admitted(tab.site, good, seen, { secrets: ['correct horse', 'ann:correct horse'] });
  });

  it('no password after a wrong one', limit, async (t) => {
    const path = '/basic/forgotten';
    const [, seen] = await attempts(t, [plan('/basic/kept', 'ann', 'wrong'), plan(path)]);
    const visits = await turnedAway(tab.site, path, seen, { status: 401 });
    assert.deepEqual(visits.map((visit) => visit.authorization), [false], 'the wrong password must be forgotten');
  });

  it('the right password of who may not come in: the page is told', limit, async (t) => {
    const path = '/basic/banned';
    const [seen] = await attempts(t, [plan(path, 'banned', right)]);
    await refused(tab.site, path, seen, { code: 4403, word: 'forbidden', cause: /forbidden$/ });
  });

  it('a password that could not be judged: a status, so that it is not kept', limit, async (t) => {
    const path = '/basic/unlucky';
    const [seen] = await attempts(t, [plan(path, 'unlucky', right)]);
    await turnedAway(tab.site, path, seen, { status: 503 });
  });
});
