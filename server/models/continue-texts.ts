import { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import { ContextLengthError, PromptError } from "./errors.ts";
import { defaultSampling, Generator, type GeneratorOptions, type SamplingOptions } from "./generate.ts";
import type { Model } from "./model.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface ContinueOptions extends Partial<SamplingOptions> {
  readonly seed?: number;
  /**
   * Prepend the begin-of-text token to each prompt if the tokenizer has one and does not do so itself. Default true.
   */
  readonly bos?: boolean;
  /**
   * Whether a chat template wrote the prompts: special tokens in them are those tokens, and none is prepended. Default
   * false.
   */
  readonly templated?: boolean;
  /** May replace activations, as for `forward`; `stores` hold what the edit reads beside the model. */
  readonly edit?: Required<Pick<GeneratorOptions, "editActivations" | "stores">>;
  /** Stops between two batches. */
  readonly signal?: AbortSignal;
}

export interface ContinuedText {
  readonly prompt: string;
  /** With the begin-of-text token. */
  readonly promptIds: Int32Array;
  /** New tokens, without the end-of-text token. */
  readonly ids: Int32Array;
  /** The decoded new tokens. */
  readonly text: string;
  /** Whether the model sampled an end-of-text token, rather than reaching `maxNewTokens`. */
  readonly stoppedAtEos: boolean;
}

/**
 * Continues each prompt. Equal options, prompts and seed give equal texts on the same machine. Throws
 * `ContextLengthError` naming the prompt that does not fit, and `PromptError` for an empty one to which no
 * begin-of-text token is prepended.
 */
export async function continueTexts(
  device: Device,
  { model, tokenizer }: { readonly model: Model; readonly tokenizer: Tokenizer },
  prompts: readonly string[],
  { seed = 0, bos = true, templated = false, edit, signal, ...sampling }: ContinueOptions = {},
): Promise<ContinuedText[]> {
  const options = { ...defaultSampling, ...sampling };
  const encoded = prompts.map((prompt) =>
    templated ? encodeTemplated(tokenizer, prompt) : encodePrompt(tokenizer, prompt, bos),
  );
  for (const [index, ids] of encoded.entries())
    checkLength(ids.length, options.maxNewTokens, model.config.contextLength, `prompt ${index + 1}`);
  if (encoded.length === 0) return [];
  const generator = await Generator.create(device, model, {
    batch: Math.min(batchRows, encoded.length),
    promptTokens: encoded.reduce((longest, ids) => Math.max(longest, ids.length), 0),
    maxNewTokens: options.maxNewTokens,
    tokenizer,
    frozen: true,
    ...edit,
  });
  try {
    const random = Random.fromSeed(seed);
    const results: ContinuedText[] = [];
    for (let start = 0; start < encoded.length; start += batchRows) {
      signal?.throwIfAborted();
      for (const { ids, stoppedAtEos } of await generator.generate(
        encoded.slice(start, start + batchRows),
        options,
        random,
      )) {
        const at = results.length;
        const text = tokenizer.decode(ids, { skipSpecialTokens: true });
        results.push({ prompt: prompts[at] ?? "", promptIds: encoded[at] ?? ids, ids, text, stoppedAtEos });
      }
    }
    return results;
  } finally {
    await generator.dispose();
  }
}

/** The ids of what a chat template wrote. */
export function encodeTemplated(tokenizer: Pick<Tokenizer, "encode">, text: string): Int32Array {
  return tokenizer.encode(text, { addSpecialTokens: false, parseSpecialTokens: true }).ids;
}

/** A prompt's ids, with the begin-of-text token first where `bos` says so. */
export function encodePrompt(tokenizer: Tokenizer, prompt: string, bos = true): Int32Array {
  const { ids } = tokenizer.encode(prompt, { addSpecialTokens: bos });
  if (!bos || tokenizer.bosId === undefined || ids[0] === tokenizer.bosId) return ids;
  return Int32Array.from([tokenizer.bosId, ...ids]);
}

/** Batch size of sampling; more rows only make the cache larger. */
const batchRows = 64;

function checkLength(promptTokens: number, newTokens: number, contextLength: number, what: string): void {
  if (promptTokens === 0) throw new PromptError(`${what} is empty: give it some text`);
  if (promptTokens + newTokens > contextLength)
    throw new ContextLengthError(
      promptTokens + newTokens,
      contextLength,
      `${what} (${promptTokens} tokens) with ${newTokens} new ones`,
    );
}
