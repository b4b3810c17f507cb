/** Which curves of a page's charts are hidden: keys of a chart's id, a space and the curve's name. */

export function curveKey(chart: string, name: string): string {
  return `${chart} ${name}`;
}

/** Names of a chart's hidden curves. */
export function hiddenOf(chart: string, hidden: readonly string[]): string[] {
  return hidden.filter((key) => key.startsWith(`${chart} `)).map((key) => key.slice(chart.length + 1));
}

/** The list without the key if it has it, else with it. */
export function toggled(keys: readonly string[], key: string): string[] {
  const left = keys.filter((other) => other !== key);
  return left.length < keys.length ? left : [...keys, key];
}
