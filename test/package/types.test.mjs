// The types that ship, as a user's compiler and editor see them: right programs pass, wrong ones do not.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const HERE = fileURLToPath(new URL('types/', import.meta.url));

/** Everything strict, and the library's own declarations checked, too. */
const STRICT = {
  strict: true, noEmit: true, skipLibCheck: false, types: [], target: ts.ScriptTarget.ES2017, lib: ['lib.es2017.d.ts'],
  module: ts.ModuleKind.CommonJS, moduleResolution: ts.ModuleResolutionKind.Node10, noImplicitOverride: true,
};
const WITHOUT_DECORATORS = ['server.ts', 'websocket.ts'];
const ALL = [...WITHOUT_DECORATORS, 'decorators.ts', 'websocket-decorators.ts'];

/** @type {[string, string[], ts.CompilerOptions][]} */
const WAYS = [
  ['without decorators', WITHOUT_DECORATORS, {}],
  ['with legacy decorators', ALL, { experimentalDecorators: true }],
  ['with standard decorators', ALL, {}],
  ['compiled to ES5', WITHOUT_DECORATORS, { target: ts.ScriptTarget.ES5, downlevelIteration: true, ignoreDeprecations: '5.0' }],
  ['beside the browser\'s own Response and WebSocket', ALL, { lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'], target: ts.ScriptTarget.ES2022 }],
  ['as a module of today', ALL, { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, isolatedModules: true }],
  ['in plain JavaScript', ['plain.js', 'websocket-plain.js'], { allowJs: true, checkJs: true }],
];

/** What the compiler complains about; a `@ts-expect-error` without an error is a complaint, too. */
function complaints(files, options) {
  const program = ts.createProgram(files.map((name) => join(HERE, name)), { ...STRICT, ...options });
  return ts.getPreEmitDiagnostics(program).map((diagnostic) => {
    const { file, start = 0, messageText } = diagnostic;
    const where = file ? `${file.fileName.replace(/^.*\//, '')}:${file.getLineAndCharacterOfPosition(start).line + 1}: ` : '';
    return where + ts.flattenDiagnosticMessageText(messageText, ' ');
  });
}

describe('the types know right from wrong', () => {
  for (const [name, files, options] of WAYS) {
    test(`TypeScript ${name}`.replace('TypeScript in', 'in'), () => {
      assert.deepEqual(complaints(files, options), []);
    });
  }

  test('in every file that is there for it', () => {
    const named = new Set(WAYS.flatMap(([, files]) => files));
    for (const name of readdirSync(HERE)) {
      assert.ok(named.has(name), name);
      assert.ok(readFileSync(join(HERE, name), 'utf8').match(/@ts-expect-error/g).length > 2, name);
    }
  });
});

describe('every public name is documented', () => {
  const program = ts.createProgram(['ehttpserver', 'websocket'].map((name) => join(HERE, '..', '..', 'dist', `${name}.d.ts`)), STRICT);
  const checker = program.getTypeChecker();
  const docOf = (symbol) => ts.displayPartsToString(symbol.getDocumentationComment(checker));

  /** What people can write behind the dot of what has the symbol's type. */
  function* membersOf(symbol) {
    const type = symbol.flags & ts.SymbolFlags.Type ? checker.getDeclaredTypeOfSymbol(symbol) : null;
    if (!type || type.isUnion() || !type.symbol || type.symbol !== symbol) return;
    for (const member of symbol.members?.values() ?? []) {
      const [declaration] = member.declarations ?? [];
      const open = declaration && !ts.isTypeParameterDeclaration(declaration)
        && !(ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Private);
      if (open) yield member;
    }
  }

  for (const source of program.getSourceFiles().filter(({ fileName }) => /\/dist\/\w+\.d\.ts$/.test(fileName))) {
    const file = source.fileName.replace(/^.*\//, '');
    test(`in ${file}`, () => {
      const names = checker.getExportsOfModule(checker.getSymbolAtLocation(source));
      assert.ok(names.length > 10, `only ${names.length} names`);
      const bare = [];
      let members = 0;
      for (const symbol of names) {
        if (!docOf(symbol)) bare.push(symbol.name);
        for (const member of membersOf(symbol)) {
          members++;
          if (/^(__index|__call)$/.test(member.name)) continue;
          const documented = member.name === '__constructor' || member.name === '__new'
            // A constructor without parameters has nothing to say that its class does not.
            ? member.declarations.every((each) => !each.parameters.length || ts.getJSDocCommentsAndTags(each).length)
            : docOf(member);
          if (!documented) bare.push(`${symbol.name}.${member.name}`);
          if (/^_[a-z]/i.test(member.name) && !/^__/.test(member.name)) bare.push(`${symbol.name}.${member.name} should not be public`);
        }
      }
      assert.ok(members > 10, `only ${members} members`);
      assert.deepEqual(bare, []);
    });
  }
});
