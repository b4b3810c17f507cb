/** Splits pairs by their prompts. */
import { LfpError } from "../../common/errors.ts";
import type { PairRecord } from "../artifacts/pairs.ts";

/** The pairs have too few prompts for the experiment's split. */
export class TooFewPromptsError extends LfpError {
  readonly code = "input";

  constructor(pairs: number, prompts: number, heldOut: number) {
    super(
      `the data has ${pairs} pairs of ${prompts} different prompts, of which ${heldOut} pairs are to be held out, all of a prompt or none: ` +
        "nothing is left to tune on. Give more prompts or lower data.heldOut",
    );
  }
}

/** A prompt as groups compare it: spaces and line breaks do not make another one. */
export function promptKey(prompt: string): string {
  return prompt.replace(/\s+/g, " ").trim();
}

/** Names the group of every pair: the id of the first pair with its prompt, over all lists. */
export function withGroups(...lists: readonly (readonly Omit<PairRecord, "group">[])[]): PairRecord[][] {
  const groups = new Map<string, string>();
  return lists.map((pairs) =>
    pairs.map((pair) => {
      const key = promptKey(pair.promptAlone ?? pair.prompt);
      const group = groups.get(key) ?? pair.id;
      groups.set(key, group);
      return { ...pair, group };
    }),
  );
}

export interface PairSplit {
  readonly tuning: readonly PairRecord[];
  readonly heldOut: readonly PairRecord[];
}

/**
 * Holds out whole groups, in the order of their first pairs, until at least `heldOut` pairs are. Throws
 * `TooFewPromptsError` if nothing is left to tune on.
 */
export function splitByGroup(pairs: readonly PairRecord[], heldOut: number): PairSplit {
  const byGroup = Map.groupBy(pairs, ({ group }) => group);
  const kept = new Set<string>();
  let count = 0;
  for (const [group, own] of byGroup) {
    if (count >= heldOut) break;
    kept.add(group);
    count += own.length;
  }
  if (kept.size === byGroup.size) throw new TooFewPromptsError(pairs.length, byGroup.size, heldOut);
  return {
    tuning: pairs.filter(({ group }) => !kept.has(group)),
    heldOut: pairs.filter(({ group }) => kept.has(group)),
  };
}

/** The pairs whose prompts none of the others have. */
export function withoutGroupsOf(pairs: readonly PairRecord[], others: readonly PairRecord[]): PairRecord[] {
  const taken = new Set(others.map(({ group }) => group));
  return pairs.filter(({ group }) => !taken.has(group));
}
