// What the pages show runs as it stands there, and what they say in figures is so.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Board } from '../board/index.mjs';
import { exchange, FIRMWARES, loadLibrary, loadWebSocket } from '../support/serve.mjs';
import { exampleSource } from '../../tools/build/build.mjs';
import { buildSmallest } from '../../tools/build/shake.mjs';
import { holdings } from '../board/holdings.mjs';
import { MSS, LISTENERS, SEND_BUFFER } from '../board/lwip.mjs';
import { anchorsOf, codeOf, linksOf, PAGES, path, programsOf, read, section } from '../support/pages.mjs';
import { openPeer, serveWebSocket } from '../support/websocket.mjs';

const readme = read('README.md');
const examples = read('examples/README.md');
const contributing = read('CONTRIBUTING.md');
const driver = read('test/board/README.md');
const programs = PAGES.flatMap(programsOf);
/** Runs one as what it is, a program of its own: the names of Node.js that the board lacks, such as Response, are free there. */
const run = (board, program, modules) => board.load(`{${program}}`, 'program.js', { modules });
const linesOf = (program) => program.trim().split('\n').filter(Boolean);

for (const firmware of FIRMWARES) {
  test(`${firmware}: the first program connects, says where, and answers`, () => {
    const [program] = programs;
    assert.ok(linesOf(program).length <= 12, 'it has 12 lines at most');
    const board = new Board({ firmware, wifi: 'off', storage: { WIFI_SSID: 'home', WIFI_PASSWORD: 'secret' } });
    run(board, program, { './ehttpserver': loadLibrary(board) });
    board.runUntil(() => board.console.length > 0);
    assert.deepEqual(board.console.map(({ text }) => text), [`http://${board.netdev.ip}/`]);
    const ask = (target) => exchange(board, [`GET ${target} HTTP/1.0\r\n\r\n`], 1000, { ms: 50 }).text.split('\r\n\r\n')[1];
    assert.equal(ask('/'), 'Hello from the Pico W!');
    assert.match(ask('/uptime'), /^\{"seconds":\d+(\.\d+)?\}$/);
    assert.equal(ask('/hello/Ada'), 'Hello Ada');
    board.check();
  });

  test(`${firmware}: the program with a button switches the LED`, () => {
    const program = programs.find((each) => each.includes('putGpio'));
    assert.ok(linesOf(program).length <= 20, 'it has 20 lines at most');
    const board = new Board({ firmware, wifi: 'off', storage: { WIFI_SSID: 'home' } });
    run(board, program, { './ehttpserver': loadLibrary(board) });
    board.runUntil(() => board.console.length > 0);
    assert.deepEqual(board.console, [{ level: 'log', text: `http://${board.netdev.ip}/` }]);
    const ask = (method, target, body = '') =>
      exchange(board, [`${method} ${target} HTTP/1.0\r\ncontent-length: ${body.length}\r\n\r\n${body}`], 1000, { ms: 50 }).text;
    assert.match(ask('GET', '/'), /\r\ncontent-type: text\/html; charset=utf-8\r\n[^]*\r\n\r\n<!DOCTYPE html>[^]*Switch the LED on</);
    assert.match(ask('PUT', '/led', '{"on":true}'), /^HTTP\/1\.1 204 /);
    assert.equal(board.pins.LED, 1);
    assert.match(ask('GET', '/'), /Switch the LED off</);
    assert.match(ask('GET', '/led'), /\r\n\r\n\{"on":true\}$/);
    for (const body of ['', 'null', '{', '{"on":"yes"}', '\xff', '['.repeat(5000)]) assert.match(ask('PUT', '/led', body), /^HTTP\/1\.1 400 /, body);
    assert.equal(board.pins.LED, 1);
    board.check();
  });

  test(`${firmware}: the program with a WebSocket answers every message`, () => {
    const program = programs.find((each) => each.includes('WebSocketServer'));
    assert.ok(linesOf(program).length <= 8, 'it has 8 lines at most');
    const board = new Board({ firmware });
    run(board, `${program}\nserver.listen(80);`, { './websocket': loadWebSocket(board, loadLibrary(board)) });
    board.run(10);
    const peer = openPeer(board, { path: '/echo' });
    for (const message of ['one', 'two']) {
      peer.text(message);
      board.run(10);
    }
    assert.deepEqual(peer.messages, ['You said: one', 'You said: two']);
    board.check();
  });
}

test('what it says of routes, statuses, headers and bodies', () => {
  const shown = (code) => {
    assert.ok(readme.includes('`' + code + '`'), code);
    return code;
  };
  const board = new Board();
  const server = `
    const { Response, Server, text } = require('./ehttpserver');
    const server = new Server();
    server.route('/pattern${shown('/user/:id')}', 'GET', () => 'a pattern');
    server.route(${shown("'/user/(\\\\w+)'")}, 'GET', (path, query, headers, body, match) => 'text ' + match[1]);
    server.route(${shown('/^\\/user\\/(\\w+)$/')}, 'POST', (path, query, headers, body, match) => 'expression ' + match[1]);
    server.route('/number', 'GET', () => { ${shown('return 404')}; });
    server.route('/missing', 'GET', () => { ${shown("return new Response('Not here', 404)")}; });
    server.route('/agent', 'POST', (path, query, headers, body) => ${shown("headers['user-agent']")} + ${shown('text(body)')} + query);
    server.listen(80);`;
  run(board, server, { './ehttpserver': loadLibrary(board) });
  const ask = (line, more = '') => exchange(board, [`${line} HTTP/1.0\r\n${more || '\r\n'}`], 1000, { ms: 50 }).text;
  const answer = (text) => [Number(text.slice(9, 12)), text.split('\r\n\r\n')[1]];
  assert.equal(answer(ask('GET /pattern/user/42'))[0], 404);
  assert.deepEqual(answer(ask('GET /user/ada?more=1')), [200, 'text ada']);
  assert.equal(answer(ask('GET /user/ada/more'))[0], 404);
  assert.deepEqual(answer(ask('POST /user/ada')), [200, 'expression ada']);
  assert.deepEqual(answer(ask('GET /number')), [200, '404']);
  assert.deepEqual(answer(ask('GET /missing')), [404, 'Not here']);
  assert.deepEqual(answer(ask('POST /agent?q', 'User-Agent: curl\r\ncontent-length: 2\r\n\r\nhi')), [200, 'curlhiq']);
  board.check();
});

test('the programs say that there is no Wi-Fi', () => {
  const whole = programs.filter((program) => program.includes('WiFi()'));
  assert.equal(whole.length, 2);
  for (const program of whole) {
    const board = new Board({ wifi: 'off', storage: { WIFI_SSID: 'home' } });
    // As on the board, with a wrong password: connect() tells of no error, and what its callback throws is lost.
    board.global.require('wifi').WiFi.prototype.connect = (callback) => {
      try {
        callback(null, { ssid: 'home' });
      } catch {
        // nobody hears of it
      }
    };
    run(board, program, { './ehttpserver': loadLibrary(board) });
    board.run(100);
    assert.match(board.console.map(({ text }) => text).join(), /^Error: Port 80: WiFi is not connected, or no socket is left/);
  }
});

describe('figures', () => {
  const kilobytes = (bytes, digits = 0) => (bytes / 1000).toFixed(digits);
  const [core, extension] = ['dist/ehttpserver.js', 'dist/websocket.js'].map((name) => statSync(path(name)).size);
  // Measured with the JavaScript engine of Kaluma 1.2.1, built for 32 bits with Kaluma's options, after a garbage collection, with a server that
  // listens: bytes of heap a byte of program. What is added since then takes as much.
  const HEAP = { core: 25992 / 13062, extension: 10952 / 6977, hello: 24808 / 12734 };

  test('bytes and heap', () => {
    assert.match(readme, new RegExp(`\\*\\*${kilobytes(core, 1)} KB of program, ${kilobytes(core * HEAP.core)} KB of heap, `));
    assert.match(readme, new RegExp(`\\(${kilobytes(extension, 1)} KB and ${kilobytes(extension * HEAP.extension)} KB more with WebSockets, 0\\.7 KB for an open one\\)`));
  });

  test('the hello example as it is flashed', async () => {
    const { bytes } = await buildSmallest(exampleSource('hello'));
    assert.ok(readme.includes(`takes ${kilobytes(bytes, 1)} KB of flash and ${kilobytes(bytes * HEAP.hello)} KB of heap, program included.`), `${bytes} bytes`);
  });

  test('an open connection', () => {
    const { board, library, extension, server } = serveWebSocket({
      firmware: 'routed',
      options: { pingSeconds: 0 },
      handler: (path, headers, ws) => { ws.onmessage = () => {}; },
    });
    const held = () => {
      board.run(50);
      return holdings(board, [library, extension, server]);
    };
    openPeer(board);
    const before = held();
    for (let n = 0; n < 3; n++) openPeer(board);
    assert.match(readme, / 0\.6 KB for an open connection, /);
    // At these prices, which are on the safe side. Under the engine of Kaluma 1.2.1 a connection takes 552 bytes, a WebSocket 731.
    assert.ok(held() - before <= 3 * 840, `${(held() - before) / 3} bytes`);
  });

  test('instructions', () => {
    const { figures } = JSON.parse(read('tools/bench/bench.json'));
    const round = (name) => Number(figures[name].toPrecision(3)).toLocaleString('en');
    const millions = (name, digits = 3) => `${Number((figures[name] / 1e6).toPrecision(digits))}`;
    const longest = Object.keys(figures).filter((name) => name.startsWith('largest step') && !name.includes('5 connections')).sort((a, b) => figures[b] - figures[a])[0];
    for (const row of [
      `| GET with the headers of a browser | ${millions('GET, kept connection')} million |`,
      `| 404 | ${millions('404, kept connection')} million |`,
      `| POST of 1 KB | ${millions('POST of 1 KB, connection of its own')} million |`,
      `| file of 30 KB | ${millions('file of 30 KB, all steps')} million |`,
      `| WebSocket: echo of 16 / 125 / 1,024 bytes | ${[16, 125, 1024].map((size) => millions(`WebSocket echo of ${size} bytes`, 2)).join(' / ')} million |`,
      `| idle step with 0 / 1 / 4 open connections | ${[0, 1, 4].map((count) => round(`idle step, ${count} open`)).join(' / ')} |`,
      `| the longest step that one client can cause | ${millions(longest)} million |`,
    ]) assert.ok(contributing.includes(row), row);
  });

  test('version, and versions of Node.js', () => {
    const { version, engines } = JSON.parse(read('package.json'));
    assert.ok(readme.includes(`\nVersion ${version}. `));
    const [, node] = /You need Node\.js ([\d.]+) or later/.exec(readme);
    assert.equal(engines.node, `>=${node}`);
    assert.ok(contributing.includes(`You need Node.js ${node} or later`));
  });

  test('dependencies', () => {
    assert.match(readme, / 0 dependencies\*\*/);
    assert.deepEqual(JSON.parse(read('package.json')).dependencies ?? {}, {});
    assert.deepEqual([...new Set([...read('dist/ehttpserver.js').matchAll(/require\("(.*?)"\)/g)].map(([, name]) => name))], ['fs']);
    assert.deepEqual([...read('dist/websocket.js').matchAll(/require\("(.*?)"\)/g)].map(([, name]) => name), ['./ehttpserver']);
  });
});

describe('what it shows', () => {
  for (const page of PAGES) {
    test(`${page}: files, pictures and headings that it links to are there`, () => {
      for (const link of linksOf(page)) {
        const [file, heading] = link.split('#');
        assert.ok(existsSync(path(file)), link);
        if (heading) assert.ok(anchorsOf(file).includes(heading), link);
      }
    });

    test(`${page}: paths are there`, () => {
      const folders = ['', ...page === 'examples/README.md' ? ['examples/'] : [], 'test/board/'];
      const paths = codeOf(read(page)).filter((code) => /^(?=.*\/)(?!\/)[\w./-]*\.[a-z]+$|^(examples|test|tools|dist|lib)\/[\w/]*$/.test(code) && !code.startsWith('src/modules/'));
      for (const each of paths) assert.ok(folders.some((folder) => existsSync(path(folder + each.replace(/^\.\//, '')))), each);
    });

    test(`${page}: commands of npm are those of package.json, with the options that their tools know`, () => {
      const { scripts } = JSON.parse(read('package.json'));
      for (const [, command, options] of read(page).matchAll(/npm (?:run )?(test\b|start\b|(?<=run )[a-z]+)([^`\n]*)/g)) {
        assert.ok(command in scripts, command);
        const sources = [...scripts[command].matchAll(/\S+\.mjs/g)].map(([file]) => (existsSync(path(file)) ? read(file) : '')).join('');
        for (const [, option] of options.matchAll(/ --([a-z]+)/g)) assert.match(sources, new RegExp(`--${option}|['"]?${option}['"]?: `), `${command} --${option}`);
      }
    });
  }

  test('links lead to all pages, and the README is short', () => {
    const linked = linksOf('README.md').map((link) => link.split('#')[0]);
    for (const page of PAGES.slice(1)) assert.ok(linked.includes(page), page);
    assert.ok(statSync(path('README.md')).size <= 18432, `${statSync(path('README.md')).size} bytes`);
  });

  test('the way to run it is there', () => {
    const commands = [...readme.matchAll(/npm (?:run )?(start|(?<=run )[a-z]+)/g)].map(([, command]) => command);
    assert.ok(commands.includes('flash') && commands.includes('start') && commands.includes('put'));
  });

  test('every program is one of those that are tested', () => {
    const [, script] = /KEEP_SOCKET = `\n([^]*?)`;/.exec(read('examples/lib/socket.ts'));
    const recipes = read('examples/recipes.js');
    const loader = read('test/package/ways/loader.js').split('\n').slice(1).join('\n');
    const known = [
      (program) => program === programs[0], // these three run above
      (program) => program.includes('WebSocketServer') && program === programs.find((each) => each.includes('WebSocketServer')),
      (program) => program.includes('putGpio') && program === programs.find((each) => each.includes('putGpio')),
      (program) => program === script.replace(/^ {2}/gm, ''),
      (program) => recipes.includes(program),
      (program) => program.startsWith(loader),
    ];
    for (const program of programs) assert.ok(known.some((is) => is(program)), program);
  });

  test('all examples are in the gallery, with a picture of their page', () => {
    const rows = [...examples.matchAll(/^\| \[`(\w+)`\]\((\w+\.[jt]s)\) \| (.*) \| (.*?) ?\|$/gm)];
    const files = readdirSync(path('examples')).filter((file) => /\.[jt]s$/.test(file));
    assert.deepEqual(rows.map(([, , file]) => file).sort(), files.sort());
    for (const [, name, file, what, picture] of rows) {
      assert.ok(file.startsWith(`${name}.`) && what.length > 10, name);
      assert.ok(picture.includes(`src="screenshots/${name}.png"`), name);
    }
  });

  test('errors that it explains are those of the library', () => {
    const messages = [...section('examples/README.md', 'When something does not work').matchAll(/^\| `([A-Z][^`]*)` \|/gm)].map(([, message]) => message);
    assert.ok(messages.length > 5, messages.join());
    const source = read('ehttpserver.ts');
    for (const message of messages) {
      for (const part of message.replace(/^Port \d+: /, 'Port |').replace(' ...', '').split('|')) assert.ok(source.includes(part), message);
    }
  });

  test('pictures are small', () => {
    const sizes = readdirSync(path('examples/screenshots')).map((file) => statSync(path(`examples/screenshots/${file}`)).size);
    assert.ok(Math.max(...sizes) <= 40960 && sizes.reduce((sum, size) => sum + size) <= 307200, sizes.join());
  });

  test('the optional CLI is a peer that nothing installs, and the version that is named is the tested one', () => {
    const { peerDependencies, peerDependenciesMeta } = JSON.parse(read('package.json'));
    assert.deepEqual([Object.keys(peerDependencies), peerDependenciesMeta], [['@kaluma/cli'], { '@kaluma/cli': { optional: true } }]);
    const lock = JSON.parse(read('package-lock.json'));
    assert.deepEqual([lock.packages[''].peerDependencies, lock.packages[''].peerDependenciesMeta], [peerDependencies, peerDependenciesMeta]);
    assert.ok(!Object.keys(lock.packages).some((name) => name.includes('@kaluma')));
    assert.doesNotMatch(read('package-lock.json'), /"resolved"|https?:\/\/registry/);
    const [, version] = /Version (\d+\.\d+\.\d+) is tested\./.exec(readme);
    assert.match(read('test/tools/flash.test.mjs'), new RegExp(`version: '${version.replaceAll('.', '\\.')}'|@kaluma/cli@${version.replaceAll('.', '\\.')}`));
    assert.match(peerDependencies['@kaluma/cli'], new RegExp(`>=${version}`));
  });

  test('the program with a button is examples/button.js, but for the way to go online', () => {
    const example = read('examples/button.js').split('\n').slice(1).join('\n').replace("{ address, online } = require('./lib/wifi')", "{ WiFi } = require('wifi')")
      .replace("require('../", "require('./");
    const common = example.slice(0, example.indexOf('online('));
    assert.match(common, /^const .*putGpio/s);
    assert.ok(examples.includes(`${common}new WiFi().connect(`), common);
  });

  test("the page's side of a WebSocket is that of the examples", () => {
    const [, script] = /KEEP_SOCKET = `\n([^]*?)`;/.exec(read('examples/lib/socket.ts'));
    assert.match(script, /new WebSocket/);
    assert.ok(readme.includes(script.replace(/^ {2}/gm, '')), script);
  });

  test('the loader and the command for esbuild are the tested ones', () => {
    const loader = read('test/package/ways/loader.js').split('\n').slice(1).join('\n');
    assert.ok(examples.includes(loader), 'the loader');
    const [, command] = /const COMMAND = \[([\s\S]*?)\];/.exec(read('test/package/ways.test.mjs'));
    assert.ok(examples.includes(`npx esbuild ${[...command.matchAll(/'(.*?)'/g)].map(([, each]) => each).join(' ')}\n`), 'the command');
  });
});

describe('the limits that the README tells', () => {
  const limits = section('README.md', 'Limits');
  const source = `${read('ehttpserver.ts')}${read('websocket.ts')}`;

  test('are the defaults of the source', () => {
    for (const [name, says] of Object.entries({
      maxBodyBytes: (value) => `body above ${value} bytes`,
      maxRequestLineSize: (value) => `request line above ${value} characters`,
      maxHeaderCount: (value) => `more than ${value} headers`,
      maxHeaderBytes: (value) => `more than ${value} bytes of them`,
      requestTimeoutSeconds: (value) => `no whole request within ${value} seconds`,
      maxMessageBytes: (value) => `message above ${value} bytes`,
    })) {
      const [, value] = new RegExp(`\\b${name}(?::| =) (\\d+)`).exec(source);
      assert.ok(limits.includes(says(value)), `${name} ${value}`);
      assert.ok(section('README.md', 'API reference').split('\n').some((row) => row.includes(`\`${name}\``) && row.includes(value)), `${name} in the reference`);
    }
    const number = (pattern) => Number(pattern.exec(source)[1]);
    assert.ok(limits.includes(`fill more than ${(number(/ MEMORY = (\d+)/) + 2 * number(/maxBodyBytes = (\d+)/)) / 1024} KB`));
    assert.ok(limits.includes(`of\n${number(/AT_ONCE = (\d+)/) / 1024} KB and more`));
    assert.ok(limits.includes(`delays the next long answer by ${number(/FILLED = (\d+)/) / 1000} seconds`));
    const [, silent] = /SILENT = (\d+)/.exec(source);
    assert.ok(limits.includes(`closed after ${silent / 1000} seconds (routed`), silent);
  });
});

describe('the page on the driver', () => {
  const rows = driver.split('\n').filter((line) => /^\| (?!fact|---)/.test(line));
  const names = readdirSync(path('test/model'))
    .flatMap((file) => [...read(`test/model/${file}`).matchAll(/^ *test\('((?:\\'|[^'])*)'/gm)].map(([, name]) => name.replaceAll("\\'", "'")));

  test('has facts', () => assert.ok(rows.length > 25, `${rows.length}`));

  for (const row of rows) {
    const [, fact, by] = /^\| (.*) \| `(.*)` \|$/.exec(row) ?? [];
    test(`is shown by a test: ${fact}`, () => assert.ok(names.includes(by), row));
  }

  test('has the figures of the model', () => {
    for (const words of [
      `A segment has at most ${MSS} bytes`, `a connection has ${SEND_BUFFER.toLocaleString('en')} bytes`, `At most ${LISTENERS} ports can listen`,
    ]) assert.ok(driver.includes(words), words);
  });
});
