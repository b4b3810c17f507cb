/** What the `evaluate` stage of a run on pairs writes. */
import { z } from "zod";
import { readJson, readJsonLines } from "./json-files.ts";

/** Its file, which the same stage of a run on words has too. */
export const pairEvaluationFile = "evaluation.json";

/** A measure with its 95 % interval, of resampled prompts. */
const intervalSchema = z.object({ mean: z.number(), low: z.number(), high: z.number() });
export type PairInterval = z.infer<typeof intervalSchema>;

/** A measure of both models; `change` is tuned less base, pair by pair. */
const comparedSchema = z.object({ base: intervalSchema, tuned: intervalSchema, change: intervalSchema });

export const pairEvaluationSchema = z.object({
  kind: z.literal("pairs"),
  pairs: z.int(),
  /** Number of prompts, which are resampled whole. */
  groups: z.int(),
  /** How the tuning scores a pair; of a model that was tuned elsewhere beta is 1. */
  beta: z.number(),
  loss: z.string(),
  tokens: z.string(),
  /** Whether this run tuned the model, so that beta and loss are those of its tuning. */
  isTuned: z.boolean(),
  /** Share of pairs whose chosen answer gained more (or lost less) log-probability by tuning than the rejected one. */
  accuracy: intervalSchema,
  /** Log-ratio of chosen answers less that of rejected ones, in nats. */
  margin: intervalSchema,
  /** Log-ratios of tuned to base model of each kind of answer, in nats. */
  logRatios: z.object({ chosen: intervalSchema, rejected: intervalSchema }),
  /** The tuning's loss; the base model, which is the reference, has a margin of 0. */
  lossBy: comparedSchema,
  /** Share of pairs whose chosen answer is likelier than the rejected one, whole and per token. */
  likelihood: comparedSchema,
  likelihoodPerToken: comparedSchema,
  /** Share of pairs whose chosen answer has more tokens, equal ones counted half: what length alone tells. */
  longer: intervalSchema,
});
export type PairEvaluation = z.infer<typeof pairEvaluationSchema>;

/** File with one line a held-out pair, without its texts. */
export const scoredPairsFile = "scored-pairs.jsonl";
const answers = z.object({ chosen: z.number(), rejected: z.number() });
const scoredPairSchema = z.object({
  /** As in the held-out pairs of the `prepare` stage. */
  id: z.string(),
  group: z.string(),
  /** Log-probabilities, summed over an answer's tokens, in nats. */
  base: answers,
  tuned: answers,
  /** In tokens. */
  lengths: answers,
});
export type ScoredPairRecord = z.infer<typeof scoredPairSchema>;

export function readPairEvaluation(folder: string): Promise<PairEvaluation> {
  return readJson(folder, pairEvaluationFile, pairEvaluationSchema);
}

export function readScoredPairs(folder: string): Promise<ScoredPairRecord[]> {
  return readJsonLines(folder, scoredPairsFile, scoredPairSchema);
}
