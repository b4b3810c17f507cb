/** The weakest control input: one vector a word, independent of sentence and tuning. */
import { invariant } from "../common/errors.ts";
import type { TokenEmbeddings } from "../models/token-embeddings.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import { rowMatrix } from "../statistics/linear-algebra.ts";
import type { Triple } from "../tasks/task.ts";
import { addScaledRow } from "./features.loops.ts";
import type { TripleFeatures } from "./features.ts";

/**
 * For every target word, the mean embedding of its tokens, tokenized as after a space; equal wherever the word
 * occurs. [3n, D], laid out as `TripleFeatures`, under layer 0, whose input it is.
 */
export function staticEmbeddings(
  triples: readonly Triple[],
  { width, rows: table }: TokenEmbeddings,
  tokenizer: Tokenizer,
): TripleFeatures {
  const sides = (["positive", "negative", "neutral"] as const).flatMap((side) => triples.map((triple) => triple[side]));
  const known = new Map<string, Float32Array>();
  const vectorOf = (word: string): Float32Array => {
    const found = known.get(word) ?? new Float32Array(width);
    if (known.has(word)) return found;
    const { ids } = tokenizer.encode(` ${word}`, { addSpecialTokens: false });
    invariant(ids.length > 0, `the word ${JSON.stringify(word)} has no token`);
    for (const id of ids) addScaledRow(found, 0, table, id * width, width, 1 / ids.length);
    known.set(word, found);
    return found;
  };
  const data = new Float32Array(sides.length * width);
  for (const [row, { word }] of sides.entries()) data.set(vectorOf(word), row * width);
  return {
    layers: [{ layer: 0, start: 0, end: width }],
    triples: triples.length,
    rows: rowMatrix(data, sides.length, width),
  };
}
