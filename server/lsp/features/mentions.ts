import { FeatureId, featureMention } from "../../protocol/ablation.ts";

/** A mention of a feature in a text, such as `L4/F43`, with its position in UTF-16 units. */
export interface Mention {
  readonly id: FeatureId;
  readonly start: number;
  readonly end: number;
}

/** Finds the mention at an offset, if any. Searches only its surroundings, however long the line is. */
export function mentionAt(text: string, offset: number): Mention | undefined {
  const from = Math.max(0, offset - REACH);
  for (const { 0: id, index } of text.slice(from, offset + REACH).matchAll(MENTION)) {
    const start = from + index;
    if (offset < start || offset > start + id.length) continue;
    return FeatureId.safeParse(id).success ? { id, start, end: start + id.length } : undefined;
  }
  return undefined;
}

/** Distance searched to either side; more than the longest mention. */
const REACH = 40;
const MENTION = new RegExp(featureMention, "g");
