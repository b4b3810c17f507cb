import { stringEnd } from "./json-places.ts";

/** How deep arrays and objects may stand in one another: whoever walks through a value calls itself that often. */
export const MOST_DEPTH = 256;

/** The value of a JSON text. Throws `SyntaxError`, also where it is nested deeper than `MOST_DEPTH`. */
export function parseJson(text: string): unknown {
  checkDepth(text);
  return JSON.parse(text);
}

/** The value of a JSON text, or undefined where it is none that `parseJson` takes. */
export function tryJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** Whether a text is JSON that `parseJson` takes. */
export function isJson(text: string): boolean {
  try {
    parseJson(text);
    return true;
  } catch {
    return false;
  }
}

/** Without recursion, and before anything is built. */
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
/** Closing ones come two after. */
const BRACKET = 0x5b;
const BRACE = 0x7b;
