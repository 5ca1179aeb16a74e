// Firefox, started by hand and attached to over WebDriver BiDi, without the
// preferences that automation recommends: some change cookies and passwords.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { freshProfile, start } from './process.mjs';

const preferences = {
  'remote.prefs.recommended': false,
  'network.dns.forceResolve': '127.0.0.1',
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'browser.startup.page': 0,
  'browser.aboutwelcome.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'toolkit.telemetry.enabled': false,
  'app.update.enabled': false,
  'app.normandy.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'extensions.systemAddon.update.enabled': false,
  'extensions.update.enabled': false,
};

/**
 * Starts Firefox with a fresh profile. All names are this machine, and every
 * certificate is accepted. With `thirdPartyCookies` cookies go along with what
 * foreign pages start, which is no longer the default.
 */
export async function startFirefox({ thirdPartyCookies = false }) {
  const profile = freshProfile('firefox');
  const all = { ...preferences, 'network.cookie.cookieBehavior': thirdPartyCookies ? 0 : 5 };
  const lines = Object.entries(all).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  );
  writeFileSync(join(profile, 'user.js'), lines.join(''));
  const { match, stop, sleep } = await start(
    process.env.FIREFOX || 'firefox-esr',
    ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'],
    { ready: /WebDriver BiDi listening on (ws:\/\/\S+)/, profile, env: { MOZ_CRASHREPORTER_DISABLE: '1' } },
  );
  try {
    const browser = await puppeteer.connect({
      browserWSEndpoint: `${match[1]}/session`,
      protocol: 'webDriverBiDi',
      acceptInsecureCerts: true,
      defaultViewport: null,
    });
    return { browser, stop, sleep };
  } catch (err) {
    await stop();
    throw err;
  }
}
