// The stock rules of ESLint and of typescript-eslint. Each exception says why it is one.
import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import ts from 'typescript-eslint';

const known = (names) => Object.fromEntries(names.split(' ').map((name) => [name, 'readonly']));
const NODE = known(Object.getOwnPropertyNames(globalThis).join(' '));
const KALUMA = known('__netdev analogRead atob btoa clearInterval clearTimeout console delay digitalRead digitalToggle digitalWrite '
  + 'global HIGH INPUT LOW micros millis OUTPUT pinMode setInterval setTimeout storage TextDecoder TextEncoder');
const BROWSER = known('addEventListener devicePixelRatio document fetch getComputedStyle location performance requestAnimationFrame '
  + 'sessionStorage setTimeout WebSocket window');

export default defineConfig([
  { ignores: ['dist/', 'build/', 'test-results/'] },
  js.configs.recommended,
  { files: ['**/*.ts'], extends: [ts.configs.recommended] },
  { files: ['**/*.mjs'], languageOptions: { globals: NODE } },
  { files: ['**/*.js'], languageOptions: { sourceType: 'commonjs', globals: KALUMA } },
  { files: ['examples/www-src/**'], languageOptions: { globals: BROWSER } },

  {
    files: ['ehttpserver.ts', 'websocket.ts'],
    rules: {
      // Limits are numbers with names. That two of them are the same means nothing.
      '@typescript-eslint/no-duplicate-enum-values': 'off',
      // What TypeScript has no type for: both kinds of decorator in one function, prototypes made by hand (class ... extends costs
      // 600 bytes of heap), an iterator whose two lives, handler and body, have different values.
      '@typescript-eslint/no-explicit-any': 'off',
      // ES5 has none, and what TypeScript makes of them is longer.
      'prefer-rest-params': 'off',
    },
  },
  {
    // What the board has is declared there, not imported: a program finds it without.
    files: ['examples/**/*.ts'],
    rules: { '@typescript-eslint/triple-slash-reference': ['error', { path: 'always' }] },
  },
  {
    files: ['test/**'],
    languageOptions: { globals: BROWSER }, // in functions that Chromium gets
    rules: {
      // A handler may be a generator that never waits.
      'require-yield': 'off',
    },
  },
  {
    // A type test reads a property to see whether one may.
    files: ['test/package/types/**'],
    rules: { '@typescript-eslint/no-unused-expressions': 'off' },
  },
  {
    // These files are put together to one program: only that has every name, and a use for each.
    files: ['test/package/ways/loader.js', 'tools/bench/*.js'],
    rules: { 'no-undef': 'off', 'no-unused-vars': 'off' },
  },
  {
    // A terminal's answers have ESC in them.
    files: ['tools/board/kaluma.mjs', 'tools/board/put.mjs'],
    rules: { 'no-control-regex': 'off' },
  },
  {
    // Parameters say what a callback is called with, where a default or a stub has no use for them.
    files: ['test/board/**', 'tools/board/kaluma.mjs'],
    rules: { 'no-unused-vars': ['error', { args: 'none' }] },
  },
  {
    // Runs in engines that have neither console nor modules; the library is put before it.
    files: ['test/support/es5-driver.js'],
    languageOptions: { sourceType: 'script', ecmaVersion: 5, globals: known('global library print TextDecoder TextEncoder Uint8Array websocket') },
  },
]);
