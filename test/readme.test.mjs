// The program that the README shows runs as it stands there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Board } from './board/index.mjs';
import { exchange, FIRMWARES, loadLibrary } from './support/serve.mjs';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const [, program] = /```js\n([\s\S]*?)```/.exec(readme) ?? [];

for (const firmware of FIRMWARES) {
  test(`${firmware}: the README's program connects, says where, and answers`, () => {
    assert.ok(program, 'there is a program');
    assert.ok(program.trim().split('\n').filter(Boolean).length <= 12, 'it has 12 lines at most');
    const board = new Board({ firmware, wifi: 'off', storage: { WIFI_SSID: 'home', WIFI_PASSWORD: 'secret' } });
    board.load(program, 'program.js', { modules: { './ehttpserver': loadLibrary(board) } });
    board.runUntil(() => board.console.length > 0);
    assert.deepEqual(board.console.map(({ text }) => text), [`http://${board.netdev.ip}/`]);
    const ask = (path) => exchange(board, [`GET ${path} HTTP/1.0\r\n\r\n`], 1000, { ms: 50 }).text.split('\r\n\r\n')[1];
    assert.equal(ask('/'), 'Hello from the Pico W!');
    assert.match(ask('/uptime'), /^\{"seconds":\d+(\.\d+)?\}$/);
    assert.equal(ask('/hello/Ada'), 'Hello Ada');
    board.check();
  });
}
