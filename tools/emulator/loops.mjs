// Tells where a program is that does not give control back: a second thread hears the heart of the first one, and when that is silent it
// looks at its call stack, as a debugger does.
import { writeSync } from 'node:fs';
import { Session } from 'node:inspector';
import { once } from 'node:events';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { makeLocate } from './locate.mjs';

/** The heart beats every so many ms. After so many without a beat the stack is read; where the machine sleeps, none go by. */
const BEAT = 250;
const SILENT = 12;
const LIBRARY = /\bdist[/\\](ehttpserver|websocket)\.js:/;

/**
 * Watches this thread, from before the program is loaded.
 * @param {{name: string, map: string, folder: string}} program the one file's name in stack traces, and its source map
 */
export async function watchLoops({ name, map, folder }) {
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL(import.meta.url), { workerData: { name, map, folder, beats } });
  await once(worker, 'online');
  worker.unref();
  setInterval(() => Atomics.add(beats, 0, 1), BEAT).unref();
}

/** The top places of the other thread's stack that are in the script: line and column count from 1. */
async function readStack(name) {
  const session = new Session();
  const urls = new Map();
  session.connectToMainThread();
  const post = (method) => new Promise((done, failed) => session.post(method, (error) => (error ? failed(error) : done())));
  session.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url));
  const paused = once(session, 'Debugger.paused');
  await post('Debugger.enable');
  await post('Debugger.pause');
  const [{ params: { callFrames } }] = await paused;
  await post('Debugger.resume');
  session.disconnect();
  const inScript = callFrames.filter(({ location: { scriptId } }) => urls.get(scriptId) === name);
  return inScript.map(({ location: { lineNumber, columnNumber } }) => `${name}:${lineNumber + 1}:${columnNumber + 1}`);
}

/** In the second thread. It writes by itself, as the first one cannot. */
function listen({ name, map, folder, beats }) {
  const locate = makeLocate(name, { map, folder });
  let last = -1;
  let looks = 0;
  setInterval(async () => {
    const now = Atomics.load(beats, 0);
    looks = now === last ? looks + 1 : 0;
    last = now;
    if (looks !== SILENT) return;
    const places = (await readStack(name)).map(locate);
    const place = places.find((each) => !LIBRARY.test(each)) ?? places[0];
    if (place) writeSync(2, `The program keeps the processor at ${place.replace(/:\d+$/, '')}\n`);
  }, BEAT);
}

if (!isMainThread) listen(workerData);
