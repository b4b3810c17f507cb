import { resolve } from "node:path";
import { writeFileAtomically } from "../common/atomic-file.ts";
import type { ScoredPassage } from "../lens/document.ts";
import { formatOf, type TokenFields, tokenLines } from "./score-file.ts";

export interface ThroughOptions<K extends string, P> {
  /** Every token goes to this file, if one is named. */
  readonly out: string | undefined;
  /** Of its lines, as CSV orders them. */
  readonly columns: readonly K[];
  readonly note: (line: string) => void;
  readonly visit: (passage: P) => void;
}

/** Goes through all passages; those that go to a file are not held in memory. */
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

/** Means, one number at a time. */
export class RunningMean {
  #sum = 0;
  #count = 0;

  add(value: number | null): void {
    if (value === null) return;
    this.#sum += value;
    this.#count += 1;
  }

  /** Null of nothing. */
  get value(): number | null {
    return this.#count === 0 ? null : this.#sum / this.#count;
  }
}
