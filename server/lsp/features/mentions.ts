import { FeatureId, featureMention } from "../../protocol/ablation.ts";

/** A feature that a text names, such as `L4/F43`, with its place in UTF-16 units. */
export interface Mention {
  readonly id: FeatureId;
  readonly start: number;
  readonly end: number;
}

/** The feature that is named where an offset stands, if one is. Looks at its surroundings only, however long the line is. */
export function mentionAt(text: string, offset: number): Mention | undefined {
  const from = Math.max(0, offset - REACH);
  for (const { 0: id, index } of text.slice(from, offset + REACH).matchAll(MENTION)) {
    const start = from + index;
    if (offset < start || offset > start + id.length) continue;
    return FeatureId.safeParse(id).success ? { id, start, end: start + id.length } : undefined;
  }
  return undefined;
}

/** More than the longest mention. */
const REACH = 40;
const MENTION = new RegExp(featureMention, "g");
