/** The pairs that DPO learns from, by their source. */
import { z } from "zod";
import { parseJson } from "../common/json.ts";
import type { Checkpoint, CheckpointContent } from "../runs/stage.ts";
import type { PairSourceConfig } from "./dpo-config.ts";
import { pairTokens } from "./preference-tokens.ts";
import { makePrompts } from "./prompts.ts";
import { createPairSampler, type SampledPairs, samplePairs, tokenPairOf } from "./sampled-pairs.ts";
import type { TokenPair } from "./token-pair.ts";
import type { TunerInput, TunerStep } from "./tuner.ts";

/** Pairs to learn from. */
export interface DpoPairs {
  readonly pairs: readonly TokenPair[];
  /** What a resumed tuning needs to have the same pairs again without making them. */
  readonly files: NonNullable<CheckpointContent["files"]>;
  /** Texts of a pair for display; none of a pair of the data, which may be harmful. */
  shown(index: number): TunerStep["shown"];
}

/** A checkpoint of an earlier tuning; a complete one has all pairs. */
export interface PairsFrom {
  readonly saved: Checkpoint | undefined;
  readonly complete: boolean;
}

type Sources = {
  readonly [K in PairSourceConfig["from"]]: (
    input: TunerInput,
    config: Extract<PairSourceConfig, { from: K }>,
    from: PairsFrom,
  ) => Promise<DpoPairs>;
};

const sources: Sources = {
  reward: async (input, config, from) => {
    const known = from.saved === undefined ? undefined : await readPairs(from.saved);
    const made = from.complete && known !== undefined ? known : await sampledBy(input, config, known);
    return {
      pairs: made.pairs.map(tokenPairOf),
      files: filesOf(made),
      shown: (index) => {
        const pair = made.pairs[index];
        return pair === undefined
          ? {}
          : { chosen: pair.prompt + pair.chosen.text, rejected: pair.prompt + pair.rejected.text };
      },
    };
  },
  data: async ({ pairs, tokenizer }, { tokens }) => {
    const made = pairs.map((pair) => pairTokens(pair, tokenizer, tokens));
    return {
      pairs: made.flatMap((one) => (one.kind === "pair" ? [one.pair] : [])),
      files: {},
      shown: () => ({}),
    };
  },
};

/** Makes or reads the pairs. Throws what `makePrompts`, `samplePairs` and `pairTokens` throw. */
export function openPairs(input: TunerInput, config: PairSourceConfig, from: PairsFrom): Promise<DpoPairs> {
  return bySource(input, config, from);
}

function bySource<K extends PairSourceConfig["from"]>(
  input: TunerInput,
  config: Extract<PairSourceConfig, { from: K }>,
  from: PairsFrom,
): Promise<DpoPairs> {
  const open: Sources[K] = sources[config.from as K];
  return open(input, config, from);
}

/** A checkpoint before the first step, of the pairs so far. */
export function beforeSteps(files: DpoPairs["files"]): CheckpointContent {
  return { state: { steps: 0 }, files };
}

/** File of the sampled pairs, so that a resumed tuning does not sample them again. */
const pairsFile = "pairs.json";

async function sampledBy(
  input: TunerInput,
  pairs: Extract<PairSourceConfig, { from: "reward" }>,
  known: SampledPairs | undefined,
): Promise<SampledPairs> {
  const { device, reference, tokenizer, texts, reward, random, signal, onPrepared } = input;
  const options = { ...input.sampling, ...input.text, bosId: reference.config.bosId };
  const prompts = makePrompts(texts, tokenizer, options, random.fork("prompts")).slice(0, pairs.prompts);
  const sampling = { ...input.sampling, ...pairs };
  const sampler = await createPairSampler(device, reference, { tokenizer, prompts, sampling });
  try {
    return await samplePairs({
      sampler,
      tokenizer,
      reward,
      prompts,
      sampling,
      random: random.fork("pairs"),
      signal,
      ...(known === undefined ? {} : { known }),
      onBatch: async (made) => {
        signal?.throwIfAborted();
        // A prompt whose completions tie gives no pair.
        const progress = { done: made.pairs.length, total: prompts.length - made.ties, unit: "pairs" };
        await onPrepared?.(progress, () => beforeSteps(filesOf(made)));
      },
    });
  } finally {
    await sampler.dispose();
  }
}

function filesOf(made: SampledPairs): DpoPairs["files"] {
  return { [pairsFile]: new TextEncoder().encode(JSON.stringify(made)) };
}

const answer = z.object({
  text: z.string(),
  reward: z.number(),
  promptIds: z.array(z.int()),
  ids: z.array(z.int()),
});
const sampledPairs = z.object({
  prompts: z.int(),
  ties: z.int(),
  pairs: z.array(z.object({ prompt: z.string(), chosen: answer, rejected: answer })),
});

async function readPairs(saved: Checkpoint): Promise<SampledPairs> {
  return sampledPairs.parse(parseJson(new TextDecoder().decode(await saved.read(pairsFile))));
}
