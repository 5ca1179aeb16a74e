// How many connections one identity may have, and who loses.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { refused } from './gateway-expect.mjs';
import { until } from './gateway-program.mjs';
import { limit } from './gateway-tab.mjs';
import { live, wasEnded } from './sessions-live.mjs';

export function defineLimits(tab) {
  describe('two connections for each', { concurrency: true }, () => {
    it('the third is refused, until one is gone', limit, async () => {
      const claims = { sub: 'many' };
      const first = await live(tab, '/node/full/first', claims);
      const second = await live(tab, '/node/full/second', claims);
      const why = { code: 4429, status: 429, word: 'too_many', cause: /./ };
      const query = { access_token: tab.token(claims) };
      await refused(tab, { backend: 'node', path: '/node/full/third', carrier: 'query', why, query });
      const other = await live(tab, '/node/full/other', { sub: 'few' });
      await first.unharmed();
      await until(async () => (await tab.gateway.connections({ subject: 'many' })).length < 2, 'the end of the first');
      const fourth = await live(tab, '/node/full/fourth', claims);
      for (const held of [second, other, fourth]) await held.unharmed();
    });

    it('the third replaces the first', limit, async () => {
      const claims = { sub: 'many' };
      const first = await live(tab, '/node/replaced/first', claims);
      const second = await live(tab, '/node/replaced/second', claims);
      const other = await live(tab, '/node/replaced/other', { sub: 'few' });
      const third = await live(tab, '/node/replaced/third', claims);
      await wasEnded(tab, first, { code: 4403, status: 409, word: 'replaced', cause: /./ });
      for (const held of [second, other, third]) await held.unharmed();
    });
  });
}
