// Live sessions through the gateway over TLS, in front of servers that know
// nothing of it: how connections end, and how they are renewed, as real browsers,
// these servers, the wire between and the operator see it.
import { after, before, describe, it } from 'node:test';
import { concealed } from './expect.mjs';
import { engines, Tab } from './gateway-tab.mjs';
import { defineCookie } from './sessions-cookie.mjs';
import { defineDesk } from './sessions-desk.mjs';
import { defineEndings } from './sessions-endings.mjs';
import { defineExchange } from './sessions-exchange.mjs';
import { defineLimits } from './sessions-limits.mjs';
import { defineRevocation } from './sessions-revocation.mjs';
import { configuration } from './sessions-routes.mjs';

for (const engine of engines) {
  describe(`sessions, ${engine}`, { timeout: 120_000 }, () => {
    const tab = new Tab(engine);
    before(async () => {
      await tab.start({ backends: ['node', 'counter'], configure: configuration });
      // Browsers slow down the timers of pages behind others: those of other
      // sites, which do not last, and the application's own in front.
      for (const host of ['evil.test', 'api.app.test', 'app.test']) await (await tab.page(host)).bringToFront();
    });
    after(() => tab.stop());

    // All at once: they do little but wait.
    describe('in one page', { concurrency: true }, () => {
      defineEndings(tab);
      defineRevocation(tab);
      defineLimits(tab);
      defineDesk(tab);
    });
    defineCookie(tab);
    defineExchange(tab);

    it('nobody was told a secret', async () => {
      const { gateway, site } = tab;
      const metrics = await (await fetch(`${gateway.admin}/metrics`)).text();
      const told = [gateway.program.text, metrics, JSON.stringify(await gateway.status())];
      for (const { tap, program } of Object.values(site.backends)) {
        told.push(program.text, tap.requests().map(({ head }) => head).join('\n'));
      }
      concealed(told, [...site.secrets]);
    });
  });
}
