/** The JSON value in an answer: the whole of it, or the first object that stands in it whole. Undefined when there is none. */
export function jsonIn(text: string): unknown {
  const whole = parsed(text.trim());
  if (whole !== undefined) return whole;
  for (
    let start = text.indexOf("{"), tries = 0;
    start >= 0 && tries < 20;
    start = text.indexOf("{", start + 1), tries++
  ) {
    const end = endOfObject(text, start);
    const found = end === undefined ? undefined : parsed(text.slice(start, end));
    if (found !== undefined) return found;
  }
  return undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** After the brace that closes the one at `start`, with strings passed over. */
function endOfObject(text: string, start: number): number | undefined {
  let depth = 0;
  let inString = false;
  for (let at = start; at < text.length; at++) {
    const char = text[at];
    if (inString) {
      if (char === "\\") at++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return at + 1;
  }
  return undefined;
}
