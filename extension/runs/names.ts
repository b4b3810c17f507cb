/** Names of runs and experiments that are not taken yet. Independent of VS Code. */

/** A name that none of those taken has: itself, or with the first free number appended. */
export function freeName(wanted: string, taken: readonly string[]): string {
  const all = new Set(taken);
  for (let count = 1; ; count++) {
    const suffix = count === 1 ? "" : `-${count}`;
    const name = `${wanted.slice(0, MOST_CHARACTERS - suffix.length)}${suffix}`;
    if (!all.has(name)) return name;
  }
}

/** Maximum length of a run's name. */
const MOST_CHARACTERS = 64;
