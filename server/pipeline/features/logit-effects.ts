/**
 * The tokens that a feature promotes by writing to the residual stream: the decoder's row through the final norm's
 * scale and the unembedding, ignoring the layers in between (a logit lens). Letters: F features, D width, V vocabulary,
 * K tokens kept.
 */
import type { Device } from "../../engine/device.ts";
import * as ops from "../../engine/ops.ts";
import { finalNormOf, headNameOf, type Model } from "../../models/model.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import type { Sae } from "../../sae/sae.ts";
import type { LogitEffect } from "../../store/writer.ts";

export interface LogitEffects {
  readonly promotes: readonly LogitEffect[];
  readonly suppresses: readonly LogitEffect[];
}

const kept = 10;
/** Maximum number of logits of one batch. */
const logitsAtOnce = 2 ** 22;

/**
 * The effects of every feature. Omits the norm's division by the stream's own size, and subtracts the mean over the
 * vocabulary, which changes no probability: numbers are comparable within a model only.
 */
export async function logitEffects(
  device: Device,
  model: Model,
  sae: Sae,
  tokenizer: Pick<Tokenizer, "vocabSize" | "tokenLabel">,
): Promise<LogitEffects[]> {
  const { D, F } = sae;
  const V = tokenizer.vocabSize;
  const batch = Math.max(1, Math.min(F, Math.floor(logitsAtOnce / model.config.vocabSize)));
  const directions = normedDirections(sae, await finalNormScale(model), finalNormOf(model.config).centres);
  const whole = model.weights.get(headNameOf(model.config));
  const head = V === model.config.vocabSize ? whole : ops.slice(whole, 0, 0, V);
  const logits = ops.matmul(ops.input("directions", [batch, D]), head, { transB: true });
  const centred = ops.sub(logits, ops.mean(logits, { axes: [1], keepDims: true }));
  const falling = ops.negate(centred);
  const program = await device.compile({
    stores: [model.store],
    frozen: [model.store],
    outputs: {
      up: ops.topKValues(centred, kept),
      upIds: ops.topKIndices(centred, kept),
      down: ops.topKValues(falling, kept),
      downIds: ops.topKIndices(falling, kept),
    },
  });
  const found: LogitEffects[] = [];
  const listOf = (values: ArrayLike<number> = [], ids: ArrayLike<number> = [], row: number, sign: number) =>
    Array.from({ length: kept }, (_, k) => ({
      token: tokenizer.tokenLabel(ids[row * kept + k] ?? 0),
      logit: sign * (values[row * kept + k] ?? 0),
    }));
  for (let first = 0; first < F; first += batch) {
    const rows = new Float32Array(batch * D);
    rows.set(directions.subarray(first * D, Math.min(F, first + batch) * D));
    const { up, upIds, down, downIds } = await program.run({ directions: rows });
    for (let row = 0; row < Math.min(batch, F - first); row++)
      found.push({ promotes: listOf(up, upIds, row, 1), suppresses: listOf(down, downIds, row, -1) });
  }
  await program.dispose();
  return found;
}

/** The final norm's scale, [D]. */
async function finalNormScale({ config, store }: Model): Promise<Float32Array> {
  const { scale, offset } = finalNormOf(config);
  return Float32Array.from(await store.read(scale), (value) => value + offset);
}

/** Decoder rows times the scale, with their mean subtracted first where the norm does so. */
function normedDirections({ D, decoder }: Sae, scale: Float32Array, centre: boolean): Float32Array {
  const result = new Float32Array(decoder.length);
  for (let first = 0; first < decoder.length; first += D) {
    const row = decoder.subarray(first, first + D);
    const mean = centre ? row.reduce((total, value) => total + value, 0) / D : 0;
    for (const [d, value] of row.entries()) result[first + d] = (value - mean) * (scale[d] ?? 1);
  }
  return result;
}
