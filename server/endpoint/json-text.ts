/** Extracts JSON from a model's output: skips its thinking, and offers every object of the rest. */
import { tryJson } from "../common/json.ts";

/** Markers of the end of thinking; the beginning may be in the prompt, so it may be missing. */
const thinkingEnds =
  /<\/(?:think|thinking|thought|reasoning)>|\[\/THINK\]|◁\/think▷|<\|channel\|>final<\|message\|>/giu;
const thinkingBegins = /<(?:think|thinking|thought|reasoning)>|\[THINK\]|◁think▷|<\|channel\|>analysis<\|message\|>/iu;

/** The text after the model's thinking; empty if all of it is thinking. */
export function withoutThinking(text: string): string {
  const last = [...text.matchAll(thinkingEnds)].at(-1);
  const rest = last === undefined ? text : text.slice(last.index + last[0].length);
  const begin = thinkingBegins.exec(rest);
  return begin === null ? rest : rest.slice(0, begin.index);
}

/** Bounds the work on a text that is all braces. */
const longest = 20_000;
const triesAtMost = 300;

/**
 * The JSON values in an answer, in order: the whole of it, or every complete object that is inside no other. Skips
 * the model's thinking, unless the whole text is JSON.
 */
export function jsonIn(text: string): unknown[] {
  const whole = tryJson(text.trim());
  if (whole !== undefined) return [whole];
  const answer = withoutThinking(text).slice(-longest);
  const own = tryJson(answer.trim());
  if (own !== undefined) return [own];
  const found: unknown[] = [];
  let start = answer.indexOf("{");
  for (let tries = 0; start >= 0 && tries < triesAtMost; tries++) {
    const end = endOfObject(answer, start);
    const value = end === undefined ? undefined : tryJson(answer.slice(start, end));
    if (value !== undefined) found.push(value);
    start = answer.indexOf("{", value === undefined || end === undefined ? start + 1 : end);
  }
  return found;
}

/** Offset after the brace that closes the one at `start`, ignoring braces in strings. */
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
