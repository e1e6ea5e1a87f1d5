// What npm start notices of answers: a value that JSON has no form for.

/** Values of which JSON makes {}, with what makes more of them. */
const EMPTY = [
  [Map, 'Object.fromEntries(map)'],
  [Set, '[...set]'],
  [Error, 'error.message'],
];

/** Tells, once for each kind, of such a value that is made JSON as a whole, as the library does with what a handler returns. */
export function watchJson(tell) {
  const { stringify } = JSON;
  const told = new Set();
  JSON.stringify = (value, ...more) => {
    const [kind, instead] = EMPTY.find(([type]) => value instanceof type && !value.toJSON) ?? [];
    if (kind && !told.has(kind) && Object.keys(value).length === 0) {
      told.add(kind);
      tell('empty', { kind: kind.name, instead });
    }
    return stringify(value, ...more);
  };
}
