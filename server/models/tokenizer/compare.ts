import type { TokenizerSpec } from "./file.ts";

/**
 * How two tokenizers differ, as words that follow "they"; undefined where both encode texts alike. One may have more
 * tokens than the other (added ones, say). Tokens that a tokenizer puts around texts do not matter.
 */
export function tokenizerDifference(one: TokenizerSpec, other: TokenizerSpec): string | undefined {
  const rules = ["family", "nfc", "words", "ignoreMerges"] as const;
  if (rules.some((rule) => one[rule] !== other[rule])) return "cut texts by other rules";
  const [shorter, longer] = one.tokenOf.size <= other.tokenOf.size ? [one, other] : [other, one];
  for (const [id, token] of shorter.tokenOf) {
    const own = longer.tokenOf.get(id);
    if (own === undefined) return `both have tokens of their own, such as ${JSON.stringify(token)} with the id ${id}`;
    if (own !== token)
      return `have two tokens for one id: ${id} is ${JSON.stringify(token)} in one and ${JSON.stringify(own)} in the other`;
  }
  const [few, many] = [shorter.model.merges, longer.model.merges];
  for (const [at, merge] of few.entries())
    if (spelled(merge) !== spelled(many[at] ?? "")) return `merge differently from merge ${at + 1} on`;
  return undefined;
}

/** Ids below this are tokens of both, gaps in the numbering aside. */
export function sharedIds(one: TokenizerSpec, other: TokenizerSpec): number {
  return Math.min(idsOf(one), idsOf(other));
}

function idsOf({ tokenOf }: TokenizerSpec): number {
  let end = 0;
  for (const id of tokenOf.keys()) end = Math.max(end, id + 1);
  return end;
}

/** A merge as one string; files have two formats. */
function spelled(merge: string | readonly [string, string]): string {
  return typeof merge === "string" ? merge : merge.join(" ");
}
