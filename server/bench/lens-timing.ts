import { z } from "zod";
import { quantiles } from "../common/quantiles.ts";
import type { Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { scaledProbe } from "../lens/columns.ts";
import { Lens } from "../lens/lens.ts";
import type { LensSubject } from "../lens/subject.ts";
import { forward, plainPositions } from "../models/model.ts";

const times = z.strictObject({ p50: z.number(), p95: z.number() });

/** Milliseconds for paragraphs of this length. */
const lensTimesSchema = z.strictObject({
  tokens: z.int(),
  /** Share of the probe's features that are active at a token of the last paragraph. Sparse features take less time. */
  activeShare: z.number(),
  /** The first paragraph of its length, which includes compiling its program. */
  coldMs: times,
  /** A paragraph that was not read before, with its program compiled. */
  warmMs: times,
  /** A paragraph that was read before. */
  cachedMs: times,
});
export type LensTimes = z.infer<typeof lensTimesSchema>;

export interface LensBenchOptions {
  /** Paragraphs of these lengths in tokens. */
  readonly tokens: readonly number[];
  readonly warmRepeats: number;
  readonly coldRepeats: number;
  readonly signal: AbortSignal;
}

/** A text of exactly `tokens` tokens, different for every `number`. */
export type TextOfTokens = (tokens: number, number: number) => string;

/** Times reads of a subject's lens. */
export async function timeLens(
  subject: LensSubject,
  textOf: TextOfTokens,
  options: LensBenchOptions,
): Promise<LensTimes[]> {
  const { tokens: lengths, warmRepeats, coldRepeats, signal } = options;
  const results: LensTimes[] = [];
  let number = 0;
  const nextText = (tokens: number): string => textOf(tokens, ++number);
  for (const tokens of lengths) {
    const [cold, warm, cached]: [number[], number[], number[]] = [[], [], []];
    for (let at = 0; at < coldRepeats; at++) {
      // The caller owns the subject: closing a lens of it must leave it open.
      const lens = new Lens({ ...subject, close: async () => undefined });
      cold.push(await timed(lens, nextText(tokens), signal));
      await lens.close();
    }
    const lens = new Lens({ ...subject, close: async () => undefined });
    await timed(lens, nextText(tokens), signal);
    for (let at = 0; at < warmRepeats; at++) {
      const text = nextText(tokens);
      warm.push(await timed(lens, text, signal));
      cached.push(await timed(lens, text, signal));
    }
    const { features } = await lens.read(nextText(tokens), { signal });
    const activeShare = features.values.length / (features.rowStarts.length - 1) / subject.probe.weights.length;
    await lens.close();
    results.push({
      tokens,
      activeShare,
      coldMs: quantiles(cold),
      warmMs: quantiles(warm),
      cachedMs: quantiles(cached),
    });
  }
  return results;
}

/**
 * The largest difference between a lens's numbers for a text that fits one window and those of a plain forward pass
 * over exactly its tokens, with unfrozen weights and another order of summation; relative to the largest number.
 */
export async function lensError(subject: LensSubject, text: string): Promise<number> {
  const { device, tokenizer, prefixIds, tuned, probe } = subject;
  const ids = Int32Array.from([...prefixIds, ...tokenizer.encode(text, { addSpecialTokens: false }).ids]);
  const small = await subject.dictionaries({ model: "tuned", size: "small" });
  const { layers } = forward(tuned, { shape: [1, ids.length] });
  const { weights, intercept } = scaledProbe(probe);
  const parts = probe.layers.map(({ layer, start, end }) => {
    const [output, dictionary] = [layers[layer]?.activations["mlp-output"], small.get(layer)];
    if (output === undefined || dictionary === undefined) throw new TypeError(`the subject has no layer ${layer}`);
    const features = dictionary.encode(ops.reshape(output, [ids.length, -1]));
    return ops.matmul(features, ops.constant([end - start, 1], Float32Array.from(weights.subarray(start, end))));
  });
  const rewards = parts.reduce((sum, part) => ops.add(sum, part), ops.fill([ids.length, 1], intercept));
  const stores = [tuned.store, ...[...small.values()].map(({ store }) => store)];
  const program = await device.compile({ stores, outputs: { rewards } });
  const results = await program.run({ ids, positions: plainPositions([1, ids.length]) });
  const expected = floatsOf(results["rewards"]);
  await program.dispose();
  const lens = new Lens({ ...subject, close: async () => undefined });
  const { implicit } = await lens.read(text);
  await lens.close();
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (
    Math.max(
      ...[...implicit].map((value, token) => Math.abs(value - (expected[prefixIds.length + token] ?? Number.NaN))),
    ) / largest
  );
}

async function timed(lens: Lens, text: string, signal: AbortSignal): Promise<number> {
  const start = performance.now();
  await lens.read(text, { signal });
  return performance.now() - start;
}

function floatsOf(values: Values | undefined): Float32Array {
  if (!(values instanceof Float32Array)) throw new TypeError("the plain forward pass gave no rewards");
  return values;
}
