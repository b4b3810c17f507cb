import { isJson } from "../common/json.ts";
import { stringEnd } from "../common/json-places.ts";
import { type OffsetMap, OffsetMapBuilder } from "./offset-map.ts";

/** A string value of a JSON text, with its range there. */
export interface JsonString {
  readonly value: string;
  /** Between the quotes. */
  readonly start: number;
  readonly end: number;
  /** Maps `value` to its escaped form between the quotes; undefined if nothing is escaped. */
  readonly written: OffsetMap | undefined;
}

/** The string values of a JSON text at any depth, in order, without the names of members; empty if it is not JSON. */
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

/**
 * The string values of a JSON text by their paths, as `pathKey` writes them; of members of one name the last, as with
 * `JSON.parse`. Empty if it is not JSON.
 */
export function jsonStringsByPath(json: string): ReadonlyMap<string, JsonString> {
  const found = new Map<string, JsonString>();
  if (!isJson(json)) return found;
  const path: (string | number)[] = [];
  for (let at = 0; at < json.length; at++) {
    const character = json.charAt(at);
    if (character === "{") path.push("");
    else if (character === "[") path.push(0);
    else if (character === "}" || character === "]") path.pop();
    else if (character === ",") {
      const last = path.at(-1);
      if (typeof last === "number") path[path.length - 1] = last + 1;
    } else if (character === '"') {
      const end = stringEnd(json, at + 1);
      if (isName(json, end + 1)) path[path.length - 1] = decoded(json, at + 1, end).value;
      else found.set(pathKey(path), decoded(json, at + 1, end));
      at = end;
    }
  }
  return found;
}

/** The key of a path of members and items in `jsonStringsByPath`. */
export function pathKey(path: readonly (string | number)[]): string {
  return path.join("\0");
}

/** Whether the next character after a string, white space aside, is a colon. */
function isName(json: string, from: number): boolean {
  let at = from;
  while (at < json.length && json.charCodeAt(at) <= 0x20) at += 1;
  return json.charAt(at) === ":";
}

function decoded(json: string, start: number, end: number): JsonString {
  const raw = json.slice(start, end);
  const map = new OffsetMapBuilder();
  for (let at = raw.indexOf("\\"); at >= 0; ) {
    const length = raw.charAt(at + 1) === "u" ? 6 : 2;
    map.add(at, length);
    at = raw.indexOf("\\", at + length);
  }
  const written = map.finish();
  // The caller parsed the whole JSON text before, so parsing this string cannot fail.
  return { value: written === undefined ? raw : String(JSON.parse(`"${raw}"`)), start, end, written };
}
