/** Range of a value in a JSON text, in UTF-16 units. */
export interface JsonPlace {
  readonly start: number;
  readonly end: number;
}

/**
 * The range in a JSON text of the member or item at a path: of a member its quoted name, of an item its value. For
 * duplicate names it is the last one, as with `JSON.parse`. An empty path is the whole value. Undefined if nothing has
 * this path.
 */
export function placeIn(json: string, path: readonly PropertyKey[]): JsonPlace | undefined {
  let value = skipSpace(json, 0);
  let place: JsonPlace = { start: value, end: valueEnd(json, value) };
  for (const key of path) {
    const found = childrenOf(json, value).findLast(({ name }) => name === key);
    if (found === undefined) return undefined;
    ({ value, place } = found);
  }
  return place;
}

/** Index of the closing quote of the string whose contents start at `from`. */
export function stringEnd(json: string, from: number): number {
  let at = from;
  while (at < json.length && json.charCodeAt(at) !== QUOTE) at += json.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}

interface Child {
  readonly name: string | number;
  readonly place: JsonPlace;
  /** Start of the value. */
  readonly value: number;
}

/** Members or items of the value that starts at `at`; empty for other values. */
function childrenOf(json: string, at: number): Child[] {
  const isObject = json.charAt(at) === "{";
  if (!isObject && json.charAt(at) !== "[") return [];
  const children: Child[] = [];
  let next = skipSpace(json, at + 1);
  while (next < json.length && !/[\]}]/.test(json.charAt(next))) {
    const nameEnd = isObject ? stringEnd(json, next + 1) + 1 : next;
    const value = isObject ? skipSpace(json, skipSpace(json, nameEnd) + 1) : next;
    const end = valueEnd(json, value);
    const name = isObject ? String(JSON.parse(json.slice(next, nameEnd))) : children.length;
    children.push({ name, value, place: { start: next, end: isObject ? nameEnd : end } });
    const after = skipSpace(json, end);
    next = json.charAt(after) === "," ? skipSpace(json, after + 1) : after;
  }
  return children;
}

/** End of the value at `from`. Not recursive, so any depth of nesting works. */
function valueEnd(json: string, from: number): number {
  let [at, depth] = [from, 0];
  do {
    const character = json.charAt(at);
    if (character === '"') at = stringEnd(json, at + 1);
    else if (character === "{" || character === "[") depth += 1;
    else if (character === "}" || character === "]") depth -= 1;
    else if (depth === 0) return scalarEnd(json, at);
    at += 1;
  } while (depth > 0 && at < json.length);
  return at;
}

function scalarEnd(json: string, from: number): number {
  const scalar = /[^\s,\]}]*/y;
  scalar.lastIndex = from;
  return from + (scalar.exec(json)?.[0].length ?? 0);
}

function skipSpace(json: string, from: number): number {
  let at = from;
  while (at < json.length && json.charCodeAt(at) <= 0x20) at += 1;
  return at;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
