// Chromium, started by hand and attached to: Puppeteer's own launch passes
// flags that change how cookies behave.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { freshProfile, start } from './process.mjs';

/**
 * Starts Chromium with a fresh profile. All names under .test are this
 * machine, and certificates with the public key `spki` (SHA-256, base64) are
 * trusted. With `thirdPartyCookies` cookies go along with what foreign pages
 * start, which is the default of Chrome, and is not of Debian's Chromium.
 */
export async function startChromium({ spki, thirdPartyCookies = false }) {
  const profile = freshProfile('chromium');
  const cookies = thirdPartyCookies
    ? { cookie_controls_mode: 0, block_third_party_cookies: false }
    : { cookie_controls_mode: 1, block_third_party_cookies: true };
  mkdirSync(join(profile, 'Default'));
  writeFileSync(join(profile, 'Default', 'Preferences'), JSON.stringify({ profile: cookies }));
  const args = [
    '--headless', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-breakpad',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-dev-shm-usage', '--mute-audio',
    '--host-resolver-rules=MAP *.test 127.0.0.1',
    `--ignore-certificate-errors-spki-list=${spki}`,
    `--user-data-dir=${profile}`, '--remote-debugging-port=0',
  ];
  if (process.getuid() === 0) args.push('--no-sandbox');
  const { match, stop, sleep } = await start(process.env.CHROMIUM || 'chromium', [...args, 'about:blank'], {
    ready: /DevTools listening on (ws:\/\/\S+)/,
    profile,
  });
  try {
    const browser = await puppeteer.connect({ browserWSEndpoint: match[1], defaultViewport: null });
    return { browser, stop, sleep };
  } catch (err) {
    await stop();
    throw err;
  }
}
