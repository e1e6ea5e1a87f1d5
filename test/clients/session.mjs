// What test/clients/real-clients.test.mjs has Node.js do: session.mjs LIBRARY WHAT URL AGENT; LIBRARY is fetch, or agent for http.Agent. Prints a
// list of what came.
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const [library, what, url, agent] = process.argv.slice(2);
const headers = agent ? { 'user-agent': agent } : {};

/** fetch() has one pool for all. */
async function byFetch(session, method, path, body) {
  return (await fetch(url + path, { method, body, headers, signal: AbortSignal.timeout(30000) })).text();
}

async function byAgent(session, method, path, body) {
  const request = http.request(url + path, { method, headers, agent: session, timeout: 30000 });
  request.once('timeout', () => request.destroy(new Error('no answer')));
  const answered = new Promise((resolve, reject) => request.once('response', resolve).once('error', reject));
  request.end(body);
  let text = '';
  for await (const chunk of await answered) text += chunk;
  return text;
}

const newSession = () => (library === 'agent' ? new http.Agent({ keepAlive: true }) : undefined);
const attempt = (...request) => (library === 'agent' ? byAgent : byFetch)(...request).catch((error) => String(error.cause ?? error));
const say = (results) => console.log(JSON.stringify(results));

if (what === 'post') {
  const session = newSession();
  const results = [];
  for (let n = 0; n < 11; n++) {
    results.push(await attempt(session, 'POST', '/post', String(n)));
    await sleep(200 + 10 * n);
  }
  say(results);
} else if (what === 'parallel') {
  const session = newSession();
  say(await Promise.all(Array.from({ length: 6 }, (_, n) => attempt(session, 'GET', `/n/${n}`))));
} else if (what === 'pools') {
  const sessions = Array.from({ length: 5 }, newSession);
  const results = [];
  for (const session of sessions) results.push(await attempt(session, 'GET', '/'));
  say(results);
  await sleep(60000); // it is ended before
}
