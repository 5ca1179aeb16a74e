// The routes of the tests of sessions.
import { base, route, upstream } from './gateway-usher.mjs';

/** Who issues tokens besides the usual issuer. */
export const partner = 'https://partner.test';

const hs256 = { hs256_secret_file: './secret' };

/** The limits of the routes, by their segment. */
const limits = {
  full: { max_connections: 2 },
  replaced: { max_connections: 2, when_full: 'replace' },
  lifetime: { lifetime: '2s' },
  idle: { idle: '1s' },
  pinged: { ping: '1s' },
};

/** The configuration: a route for each limit, one without, and those of other tokens. */
export function configuration(site) {
  const common = base(site);
  const { node, counter } = site.backends;
  const tokens = { verify: ['local', 'partner'] };
  const query = [{ query: tokens }];
  const cookie = [{ cookie: { name: 'session', verify: ['local'] } }];
  const app = [{ cookie: { name: 'app', verify: ['app'] } }];
  return {
    ...common,
    verifiers: {
      ...common.verifiers,
      partner: { jwt: { issuer: partner, audience: 'chat', ...hs256 } },
      staff: { jwt: { issuer: 'https://login.test', audience: 'staff', ...hs256 } },
    },
    routes: [
      route(site, '/node/live/{case}', upstream(node, '/live'), query),
      route(site, '/node/staff/{case}', upstream(node, '/staff'), [{ query: { verify: ['staff'] } }]),
      route(site, '/node/cookie/{case}', upstream(node, '/cookie'), cookie),
      route(site, '/node/app/{case}', upstream(node, '/app'), app),
      // Without the tap, which would be busier than all else.
      route(site, '/counter/live/{case}', `ws://127.0.0.1:${counter.port}/live`, [...query, ...cookie]),
      ...Object.entries(limits).map(([name, limit]) => (
        route(site, `/node/${name}/{case}`, upstream(node, `/${name}`), query, limit)
      )),
    ],
  };
}
