// Compares the bytes of the files in dist/ with their budgets in package.json.
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { budgets } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
for (const [file, budget] of Object.entries(budgets)) {
  const { size } = statSync(join(root, file));
  console.log(`${file}: ${size} bytes, budget ${budget}${size > budget ? `: ${size - budget} TOO MANY` : ''}`);
  if (size > budget) process.exitCode = 1;
}
