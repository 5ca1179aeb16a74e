// Half an hour of a page's life with tokens of five minutes, in tokens of four
// seconds: expiry, renewals, restarts of the gateway, a network that is cut and
// goes dead, logouts elsewhere, and machines that sleep. Whatever comes, the
// client comes back, keeps its promise, and leaves nothing behind.
// USHER_SOAK_ROUNDS has it go on for longer.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { clientConfiguration, serveClient } from './client-site.mjs';
import { alive, end, locks, promise, watch } from './client-witness.mjs';
import { concealed } from './expect.mjs';
import { engines, Tab } from './gateway-tab.mjs';
import { startUsher } from './gateway-usher.mjs';
import { Network } from './network.mjs';

const rounds = Number(process.env.USHER_SOAK_ROUNDS ?? 1);
const token = { who: 'sam', ttl: 4, life: 4 };

// The engines at the same time: they do little but wait.
describe('the client in the long run', { concurrency: true }, () => {
  for (const engine of engines) define(engine);
});

function define(engine) {
  describe(engine, { timeout: 60_000 + rounds * 60_000, concurrency: 1 }, () => {
    const tab = new Tab(engine);
    let network;
    const told = [];
    before(async () => {
      await tab.start({ backends: ['node'], configure: clientConfiguration });
      serveClient(tab);
      network = await Network.open(tab.gateway.port);
    });
    after(async () => {
      network?.close();
      await tab.stop();
    });

    /** What happens in a round; each is followed by a word that must be answered. */
    const events = [
      ['tokens end, and are renewed', () => pause(5_000)],
      ['all is cut', () => network.cut()],
      ['the gateway restarts', async () => {
        tab.gateway.program.signal('SIGTERM');
        await tab.gateway.program.end;
        network.to = null;
        told.push(tab.gateway.program.text);
        tab.gateway = await startUsher(tab.site, clientConfiguration(tab.site));
        network.to = tab.gateway.port;
      }],
      ['there is no network', async () => {
        network.to = null;
        network.cut();
        await pause(1_500);
        network.to = tab.gateway.port;
      }],
      ['the network is dead', async () => {
        network.dead = true;
        await pause(3_000);
        network.dead = false;
      }],
      ['the gateway is killed', async () => {
        await tab.gateway.stop();
        told.push(tab.gateway.program.text);
        tab.gateway = await startUsher(tab.site, clientConfiguration(tab.site));
        network.to = tab.gateway.port;
      }],
      ['the machine sleeps', () => tab.sleep(5_000)],
      ['the session is revoked', () => tab.gateway.revoke({ session: 'sam-1' })],
    ];

    it(`lives through ${rounds} rounds of it`, { timeout: 60_000 + rounds * 60_000 }, async () => {
      const pages = [];
      for (const [name, options] of [['alone', {}], ['one', { share: 'sam' }], ['two', { share: 'sam', protocols: 'chat.v1' }]]) {
        const page = await tab.open();
        await page.evaluate(watch);
        await page.evaluate(promise, { name, url: `wss://app.test:${network.port}/node/ticket/soak-${name}`, options, token });
        pages.push(page);
      }
      const all = (word) => Promise.all(pages.map((page) => page.evaluate(alive, { word, within: 15_000 })));
      await all('first');
      for (let round = 0; round < rounds; round++) {
        for (const [name, happen] of events) {
          await happen();
          await all(`${name} ${round}`).catch((error) => assert.fail(`${name}: ${error.message}`));
        }
      }
      let renewed = 0;
      let down = 0;
      for (const { clients, ...left } of await Promise.all(pages.map((page) => page.evaluate(end)))) {
        assert.deepEqual(left, { timers: 0, trouble: [], broken: [] });
        for (const [name, { counts, last, state }] of Object.entries(clients)) {
          assert.deepEqual([last, state, counts.close, counts.open], ['close', 3, 1, counts.open], name);
          assert.ok(counts.open >= 6 * rounds, `${name} was open only ${counts.open} times`);
          renewed += counts.renew;
          down += counts.down;
        }
      }
      assert.equal(await pages[0].evaluate(locks), 0);
      await Promise.all(pages.map((page) => page.close()));
      assert.ok(renewed >= 3 * rounds, `renewed only ${renewed} times`);
      // Nobody storms: each time that something ends, a few attempts and tokens.
      assert.ok(tab.asked.length < 150 * rounds, `${tab.asked.length} tokens were asked for`);
      console.log(`${engine}: ${renewed} renewals, ${down} times down, ${tab.asked.length} tokens`);
      concealed([...told, tab.gateway.program.text], [...tab.site.secrets]);
    });
  });
}
