// The browser of the tests.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { findProgram } from './program.mjs';

export const CHROMIUM = findProgram('CHROMIUM', ['chromium', 'chromium-browser', 'google-chrome']);
/** Where pictures are kept. */
export const RESULTS = fileURLToPath(new URL('../../test-results', import.meta.url));

const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
];

/** Starts a browser. It finds nobody but this machine. */
export async function launch() {
  mkdirSync(RESULTS, { recursive: true });
  return await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
}
