import { stringEnd } from "./json-places.ts";

/** Maximum nesting of arrays and objects, as code that walks through a value recurses that deep. */
export const MOST_DEPTH = 256;

/** Parses a JSON text. Throws `SyntaxError`, also for nesting deeper than `MOST_DEPTH`. */
export function parseJson(text: string): unknown {
  checkDepth(text);
  return JSON.parse(text);
}

/** Parses a JSON text; undefined if `parseJson` would throw. */
export function tryJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** Whether `parseJson` accepts a text. */
export function isJson(text: string): boolean {
  try {
    parseJson(text);
    return true;
  } catch {
    return false;
  }
}

/** Checks the nesting without recursion, before parsing. */
function checkDepth(json: string): void {
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) at = stringEnd(json, at + 1);
    else if (code === BRACKET || code === BRACE) {
      depth += 1;
      if (depth > MOST_DEPTH)
        throw new SyntaxError(
          `it is nested more than ${MOST_DEPTH} deep, at character ${at + 1}: nothing writes such a file`,
        );
    } else if (code === BRACKET + 2 || code === BRACE + 2) depth -= 1;
  }
}

const QUOTE = 0x22;
/** The closing ones' codes are larger by two. */
const BRACKET = 0x5b;
const BRACE = 0x7b;
