// The README's reference has every public name, what it says of CircuitPython's names leads to names that there are, and so does
// what CONTRIBUTING.md tells of the source.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import ts from 'typescript';
import { codeOf, path, section } from '../support/pages.mjs';

const wordsOf = (code) => code.match(/[A-Za-z_]\w*/g) ?? [];

/** Every exported name of a declaration file, its public members as Owner.member, and the names of parameters. */
function publicNames(file) {
  const source = ts.createSourceFile(file, readFileSync(path(file), 'utf8'), ts.ScriptTarget.Latest, true);
  const names = [];
  const parameters = [];
  const isPublic = (node) => !(ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private);
  for (const statement of source.statements) {
    if (!(ts.canHaveModifiers(statement) && ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword))) continue;
    const declarations = ts.isVariableStatement(statement) ? statement.declarationList.declarations : [statement];
    for (const { name, members = [] } of declarations) {
      names.push(name.text);
      for (const member of members) if (member.name && ts.isIdentifier(member.name) && isPublic(member)) names.push(`${name.text}.${member.name.text}`);
    }
    const visit = (node) => {
      if (ts.isParameter(node)) parameters.push(node.name.getText());
      ts.forEachChild(node, visit);
    };
    visit(statement);
  }
  return { names, parameters };
}

const files = ['dist/ehttpserver.d.ts', 'dist/websocket.d.ts'].map(publicNames);
const names = [...new Set(files.flatMap((file) => file.names))];

describe('API reference', () => {
  const whole = section('README.md', 'API reference');
  /** The words written as code: in all of it, or under the headings that have a name. */
  const mentioned = (owner) => new Set((owner
    ? whole.split(/^### /m).slice(1).filter((part) => wordsOf(part.split('\n')[0]).includes(owner))
    : [whole]).flatMap(codeOf).flatMap(wordsOf));

  test('there are public names to look for', () => {
    for (const name of ['Server.route', 'ServerOptions.netdev', 'WebSocket.recvFrame', 'WS_OPCODE_PONG', 'run']) assert.ok(names.includes(name), name);
    assert.ok(!names.some((name) => /_fd|_routes|Opcode/.test(name)), names.join());
  });

  for (const name of names) {
    const [last, owner] = name.split('.').reverse();
    test(`has ${name}`, () => assert.ok(mentioned(owner).has(last)));
  }
});

describe('Coming from CircuitPython', () => {
  const rows = section('README.md', 'Coming from CircuitPython').split('\n').filter((line) => /^\| (?!there|---)/.test(line))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()));
  const there = rows.map(([name]) => name).join(' ');
  const known = new Set([...names.flatMap((name) => name.split('.')), ...files.flatMap((file) => file.parameters)]);

  /** As JavaScript writes it. */
  const camelCase = (name) => (name.startsWith('WS_') ? name : name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()));

  test('has every name of the original, but those that are the same in camelCase', () => {
    for (const name of ['Server', 'route', 'Response', 'FileResponse', 'html_decode', 'start', 'debug', 'routes', 'serialize', 'query_params',
      'max_request_line_size', 'max_header_count', 'max_body_bytes', 'request_timeout_seconds', 'max_parallel_connections',
      'WebSocketServer', 'WebSocketConnection', 'recv_frame', 'send_frame', 'send_text', 'send_binary', 'send_ping', 'send_pong', 'send_close',
      'closed', 'WS_OPCODE_CONTINUATION', 'simple_test', 'parallel_test', 'asyncio_test', 'websocket_test']) {
      if (!known.has(camelCase(name))) assert.match(there, new RegExp(`(?<![a-z])${name}(?![a-z])`), name);
    }
  });

  for (const [name, here, why] of rows) {
    test(`${name}: its counterpart exists`, () => {
      assert.ok(why, 'there are three columns');
      const codes = codeOf(here);
      assert.ok(codes.length > 0 || /^(none|\d+)$/.test(here), here);
      for (const code of codes) {
        if (code.includes('/')) assert.ok(existsSync(path(code)), `there is no file ${code}`);
        else for (const word of wordsOf(code)) assert.ok(known.has(word), `there is no ${word}`);
      }
    });
  }
});

describe('How it works', () => {
  const source = ['ehttpserver.ts', 'websocket.ts'].map((file) => readFileSync(path(file), 'utf8')).join('');
  const words = new Set(codeOf(section('CONTRIBUTING.md', 'How it works')).flatMap(wordsOf));

  test('tells two stories', () => assert.ok(words.has('readBody') && words.has('onmessage')));

  for (const word of words) {
    test(`${word} is in the source`, () => assert.match(source, new RegExp(`(?<!\\w)${word}(?!\\w)`)));
  }
});
