/**
 * Finds what parsing an experiment's JSON would silently lose: duplicate keys, numbers outside the finite range,
 * `__proto__`.
 */
import { stringEnd } from "../../common/json-places.ts";
import { type ExperimentIssue, issueAt, MOST_ISSUES } from "./issues.ts";

/** An object or list that is not closed yet. */
interface Open {
  /** Keys so far; undefined in a list. */
  readonly keys: Set<string> | undefined;
  /** Key or index of the value that comes next. */
  next: string | number;
}

/** Errors in a text that `JSON.parse` accepts, at most `MOST_ISSUES`. */
export function textIssues(json: string): ExperimentIssue[] {
  const issues: ExperimentIssue[] = [];
  const open: Open[] = [];
  const complain = (message: string): void => {
    const path = open.map(({ next }) => next);
    issues.push(issueAt(path, message, "rule"));
  };
  for (const [token, isKey] of tokensOf(json)) {
    const inside = open.at(-1);
    if (token === "{") open.push({ keys: new Set(), next: "" });
    else if (token === "[") open.push({ keys: undefined, next: 0 });
    else if (token === "}" || token === "]") open.pop();
    else if (token === ",") {
      if (typeof inside?.next === "number") inside.next += 1;
    } else if (!token.startsWith('"')) {
      if (!Number.isFinite(Number(token)))
        complain(`got ${token.slice(0, 60)}; expected a number that is not so large`);
    } else if (isKey && inside?.keys !== undefined) {
      inside.next = String(JSON.parse(token));
      if (inside.keys.has(inside.next)) complain("is given twice: leave one of the two out");
      else if (inside.next === "__proto__") complain("unknown key");
      inside.keys.add(inside.next);
    }
    if (issues.length >= MOST_ISSUES) break;
  }
  return issues;
}

/**
 * Tokens of a JSON text: strings, with whether they are keys, brackets, commas and numbers. Without recursion, so that
 * depth is no limit.
 */
function* tokensOf(json: string): Generator<readonly [token: string, isKey: boolean]> {
  for (let at = 0; at < json.length; ) {
    const character = json.charAt(at);
    if (character === '"') {
      const end = stringEnd(json, at + 1) + 1;
      yield [json.slice(at, end), isColonNext(json, end)];
      at = end;
    } else if (/[-\d]/.test(character)) {
      number.lastIndex = at;
      const text = number.exec(json)?.[0] ?? character;
      yield [text, false];
      at += text.length;
    } else {
      if (/[{}[\],]/.test(character)) yield [character, false];
      at += 1;
    }
  }
}

const number = /-?\d[\d.eE+-]*/y;

function isColonNext(json: string, from: number): boolean {
  let at = from;
  while (json.charCodeAt(at) <= 0x20) at += 1;
  return json.charAt(at) === ":";
}
