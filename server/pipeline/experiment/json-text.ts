/** What reading an experiment's JSON would lose without a word: keys given twice, numbers beyond the finite ones, `__proto__`. */
import { type ExperimentIssue, issueAt } from "./issues.ts";

/** An object or list that is not closed yet. */
interface Open {
  /** Keys so far; undefined in a list. */
  readonly keys: Set<string> | undefined;
  /** Key or index of the value that comes next. */
  next: string | number;
}

/** What is wrong with a text that `JSON.parse` takes. */
export function textIssues(json: string): ExperimentIssue[] {
  const issues: ExperimentIssue[] = [];
  const open: Open[] = [];
  const complain = (message: string): void => {
    const path = open.map(({ next }) => next);
    issues.push(issueAt(path, message, "rule"));
  };
  for (const [token, text, colon] of json.matchAll(tokens)) {
    const inside = open.at(-1);
    if (token === "{") open.push({ keys: new Set(), next: "" });
    else if (token === "[") open.push({ keys: undefined, next: 0 });
    else if (token === "}" || token === "]") open.pop();
    else if (token === ",") {
      if (typeof inside?.next === "number") inside.next += 1;
    } else if (text === undefined) {
      if (!Number.isFinite(Number(token))) complain(`got ${token}; expected a number that is not so large`);
    } else if (colon !== undefined && inside?.keys !== undefined) {
      inside.next = String(JSON.parse(text));
      if (inside.keys.has(inside.next)) complain("is given twice: leave one of the two out");
      else if (inside.next === "__proto__") complain("unknown key");
      inside.keys.add(inside.next);
    }
  }
  return issues;
}

/** A string, perhaps as a key; a bracket or comma; a number. */
const tokens = /("(?:[^"\\]|\\.)*")(\s*:)?|[{}[\],]|-?\d[\d.eE+-]*/g;
