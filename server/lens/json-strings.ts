/** A string value of a JSON text: what it says, and where it is written. */
export interface JsonString {
  readonly value: string;
  /** Between the quotes. */
  readonly start: number;
  readonly end: number;
  /** Where unit i of `value` begins in the JSON text, for i up to `value.length`; undefined: at `start + i`. */
  readonly offsets: Int32Array | undefined;
}

/** The string values of a JSON text at any depth, in order, without the names of members; none when it is not JSON. */
export function jsonStrings(json: string): JsonString[] {
  if (!isJson(json)) return [];
  const found: JsonString[] = [];
  // In valid JSON a quote outside a string begins one, and a colon after a string makes it a name.
  for (let at = json.indexOf('"'); at >= 0; ) {
    const end = stringEnd(json, at + 1);
    if (!isName(json, end + 1)) found.push(decoded(json, at + 1, end));
    at = json.indexOf('"', end + 1);
  }
  return found;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether the next thing after a string is a colon. */
function isName(json: string, from: number): boolean {
  let at = from;
  while (at < json.length && json.charCodeAt(at) <= 0x20) at += 1;
  return json.charAt(at) === ":";
}

/** Where the string that begins at `from` has its closing quote. */
function stringEnd(json: string, from: number): number {
  let at = from;
  while (at < json.length && json.charCodeAt(at) !== QUOTE) at += json.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}

function decoded(json: string, start: number, end: number): JsonString {
  const raw = json.slice(start, end);
  if (!raw.includes("\\")) return { value: raw, start, end, offsets: undefined };
  const offsets: number[] = [];
  for (let at = start; at < end; at += unitLength(json, at)) offsets.push(at);
  offsets.push(end);
  // The whole JSON text was parsed before, so this string of it can be.
  return { value: String(JSON.parse(`"${raw}"`)), start, end, offsets: Int32Array.from(offsets) };
}

/** How many units of the JSON text write one unit of the value: \n takes two, \u000a six. */
function unitLength(json: string, at: number): number {
  if (json.charCodeAt(at) !== BACKSLASH) return 1;
  return json.charAt(at + 1) === "u" ? 6 : 2;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
