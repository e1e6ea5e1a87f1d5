// The pages that people read, for the tests of what they say.
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const path = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
export const read = (name) => readFileSync(path(name), 'utf8');

export const PAGES = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'examples/README.md', 'test/board/README.md'];

/** The text under a heading of a page, up to the next one of its level. */
export function section(page, title) {
  const [, text = ''] = read(page).split(new RegExp(`^## ${title}$`, 'm'));
  return text.split(/^## /m)[0];
}

/** What is written as code: `so`, and in blocks. */
export const codeOf = (markdown) => [...markdown.matchAll(/```\w*\n([\s\S]*?)```|`([^`\n]+)`|^ {4,}(\S.*)$/gm)].map((match) => match.slice(1).find(Boolean));

/** The programs that a page shows. */
export const programsOf = (page) => [...read(page).matchAll(/```js\n([\s\S]*?)```/g)].map(([, program]) => program);

/** Links and pictures of a page, as paths from the project's folder; `#heading` stays behind them. */
export const linksOf = (page) => [...read(page).matchAll(/\]\((.*?)\)|src="(.*?)"/g)].map(([, link, picture]) => link ?? picture)
  .filter((link) => !/^https?:/.test(link))
  .map((link) => (link.startsWith('#') ? page + link : posix.join(posix.dirname(page), link)));

/** Headings of a page, as links name them. */
export const anchorsOf = (page) => [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'));
