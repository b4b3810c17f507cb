import { resolve } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { visibleLine } from "../common/untrusted-text.ts";
import type { ScoredPassage } from "../lens/document.ts";
import type { CommandResult } from "./command.ts";
import { formatOf, type TokenFields, tokenLines } from "./score-file.ts";
import { isColoured, type ScoreGiven } from "./score-options.ts";
import { colouredText, type ShownToken, tokenTable, type ViewOptions } from "./score-view.ts";

export interface ThroughOptions<K extends string, P> {
  /** The file to write every token to, if any. */
  readonly out: string | undefined;
  /** The fields of its lines, in CSV's order. */
  readonly columns: readonly K[];
  readonly note: (line: string) => void;
  readonly visit: (passage: P) => void;
}

/** Visits all passages; those that go to a file are not held in memory. */
export async function throughPassages<K extends string, P extends ScoredPassage<TokenFields<K>>>(
  scored: AsyncIterable<P>,
  { out, columns, note, visit }: ThroughOptions<K, P>,
): Promise<{ readonly passages: readonly P[]; readonly refused: number }> {
  const passages: P[] = [];
  let refused = 0;
  const watch = async function* (): AsyncGenerator<P> {
    for await (const passage of scored) {
      if (passage.refused !== undefined) {
        note(`the passage at ${passage.start} to ${passage.end} was left out: ${passage.refused}`);
        refused += 1;
      }
      visit(passage);
      if (out === undefined) passages.push(passage);
      yield passage;
    }
  };
  if (out !== undefined) await writeFileAtomically(resolve(out), tokenLines(watch(), columns, formatOf(out)));
  else for await (const _ of watch());
  return { passages, refused };
}

/** The result of `lfp score`, for both uses: `json` and `lines` are specific to the use. */
export function scoreResult(
  given: ScoreGiven,
  {
    json,
    lines,
    passages,
  }: {
    readonly json: Readonly<Record<string, unknown>>;
    readonly lines: readonly string[];
    readonly passages: readonly unknown[];
  },
): CommandResult {
  const { out } = given.options;
  const all = out === undefined ? lines : [...lines, `every token is in ${visibleLine(out)}`];
  return {
    json: { name: "score", ...json, out: out ?? null, ...(out === undefined ? { passages } : {}) },
    text: all.filter((line) => line !== "").join("\n"),
    isSafe: isColoured(given),
  };
}

/** Tokens as the text itself, coloured, or as a table. */
export function shownText(
  given: ScoreGiven,
  passages: readonly (readonly ShownToken[])[],
  view: Omit<ViewOptions, "rows">,
): string {
  const { rows } = given.options;
  return (isColoured(given) ? colouredText : tokenTable)(passages, { ...view, rows });
}

/** A mean, updated one number at a time. */
export class RunningMean {
  #sum = 0;
  #count = 0;

  add(value: number | null): void {
    if (value === null) return;
    this.#sum += value;
    this.#count += 1;
  }

  /** Null without values. */
  get value(): number | null {
    return this.#count === 0 ? null : this.#sum / this.#count;
  }
}
