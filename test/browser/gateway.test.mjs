// The gateway over TLS, in front of servers that know nothing of it: what real
// browsers, these servers, the wire between and the operator see of it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { concealed } from './expect.mjs';
import { defineAdmission } from './gateway-admission.mjs';
import { defineForeign } from './gateway-foreign.mjs';
import { defineLifetime } from './gateway-lifetime.mjs';
import { defineOperation } from './gateway-operation.mjs';
import { defineSocketIO } from './gateway-socketio.mjs';
import { engines, Tab } from './gateway-tab.mjs';

for (const engine of engines) {
  describe(`gateway, ${engine}`, { timeout: 240_000 }, () => {
    const tab = new Tab(engine);
    before(() => tab.start());
    after(() => tab.stop());

    defineAdmission(tab);
    defineLifetime(tab);
    defineSocketIO(tab);
    defineForeign(tab);
    defineOperation(tab);

    it('the operator was told everything but a secret', async () => {
      const { gateway, site } = tab;
      const { program, admin } = gateway;
      for (const kind of ['admitted', 'refused', 'ended']) {
        assert.ok(program.events.some(({ msg }) => msg.includes(kind)), `nobody is ${kind} in the log`);
      }
      const metrics = await (await fetch(`${admin}/metrics`)).text();
      const told = [program.text, metrics, JSON.stringify(await gateway.status())];
      assert.ok(site.secrets.size > 50, 'or the test would prove nothing');
      concealed(told, [...site.secrets]);
    });
  });
}
