// Browser processes: each in a process group and a profile of its own, which
// are both gone when the test is over, whatever became of it.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const groups = new Map(); // From process group to profile.

function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (err) {
    if (err.code !== 'ESRCH') throw err;
  }
}

function removeProfile(profile) {
  if (profile) rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

// What is left where a test was cut short.
process.on('exit', () => {
  for (const [pid, profile] of groups) {
    killGroup(pid);
    removeProfile(profile);
  }
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => process.exit(1));
}

/** Makes a directory for a profile. */
export function freshProfile(engine) {
  return mkdtempSync(join(tmpdir(), `usher-${engine}-`));
}

/**
 * Starts a program and waits until a line that it writes matches `ready`.
 * Resolves to the match; to `stop`, which ends the whole process group and
 * removes `profile`; and to `sleep`, which has it do nothing for some
 * milliseconds, as on a machine whose lid is closed.
 */
export async function start(file, args, { ready, profile, env = {} }) {
  const child = spawn(file, args, {
    detached: true, // Its own process group.
    stdio: ['pipe', 'pipe', 'pipe'], // The site ends when its input does.
    env: { ...process.env, ...env },
  });
  const ended = new Promise((resolve) => {
    child.once('exit', resolve);
    child.once('error', resolve);
  });
  if (child.pid) groups.set(child.pid, profile);
  const stop = async () => {
    if (child.pid) {
      killGroup(child.pid);
      await ended;
      groups.delete(child.pid);
    }
    removeProfile(profile);
  };
  const sleep = async (ms) => {
    process.kill(-child.pid, 'SIGSTOP');
    await pause(ms);
    process.kill(-child.pid, 'SIGCONT');
  };
  try {
    return { match: await firstMatch(child, ready, file), stop, sleep };
  } catch (err) {
    await stop();
    throw err;
  }
}

function firstMatch(child, ready, file) {
  return new Promise((resolve, reject) => {
    let text = '';
    const limit = setTimeout(() => reject(new Error(`${file} not ready in 60 s:\n${text}`)), 60_000);
    const look = (chunk) => {
      text += chunk;
      const match = ready.exec(text);
      if (!match) return;
      clearTimeout(limit);
      text = '';
      for (const stream of [child.stdout, child.stderr]) stream.off('data', look).resume();
      resolve(match);
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', look);
    child.once('error', (err) => {
      clearTimeout(limit);
      reject(new Error(`start ${file}: ${err.message}; USHER_BROWSERS chooses the engines`));
    });
    child.once('exit', (code) => {
      clearTimeout(limit);
      reject(new Error(`${file} ended with ${code}:\n${text}`));
    });
  });
}
