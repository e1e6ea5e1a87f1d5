// What of the figures has become worse.

/** A rise of more is an error. */
export const TOLERANCE = 0.03;
/** So much of a difference between two runs of the same code on the same engine is none. */
const SAME = 0.005;

/**
 * Why figures cannot be compared: they are of another engine. Otherwise undefined.
 * @param {{name: string, calibration: number}} now
 * @param {{name: string, calibration: number}} was
 */
export function otherEngine(now, was) {
  if (now.name !== was.name) return `this is ${now.name}, bench.json is of ${was.name}`;
  const change = now.calibration / was.calibration - 1;
  if (Math.abs(change) > SAME) return `this ${now.name} needs ${percent(change)} for the same work: another build, or another C library`;
}

/** The errors: what rose by more than the tolerance, and what is missing on either side. */
export function compare(now, was) {
  const names = [...new Set([...Object.keys(was), ...Object.keys(now)])];
  return names.flatMap((name) => {
    if (!(name in now)) return `${name}: in bench.json, but not measured any more`;
    if (!(name in was)) return `${name}: measured, but not in bench.json`;
    const change = now[name] / was[name] - 1;
    return change > TOLERANCE ? `${name}: ${was[name]} before, ${now[name]} now, ${percent(change)}` : [];
  });
}

/**
 * The goal of a figure; undefined when it has none.
 * @param {string} name
 * @param {{[name: string]: number}} goals see goals.mjs
 */
export function goalOf(name, goals) {
  const all = Object.keys(goals).find((each) => each.endsWith('*') && name.startsWith(each.slice(0, -1)));
  return goals[name] ?? (all && goals[all]);
}

/** How far a figure is above its goal, in words. */
export function distance(now, goal) {
  if (goal === undefined) return undefined;
  return now > goal ? percent(now / goal - 1) : 'reached';
}

export function percent(change) {
  return `${change < 0 ? '-' : '+'}${Math.abs(change * 100).toFixed(1)} %`;
}
