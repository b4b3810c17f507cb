import { z } from "zod";
import type { Random } from "../../common/random.ts";
import type { Device } from "../../engine/device.ts";
import { type LoadedModel, loadModel } from "../../models/checkpoint.ts";
import type { Stage, StageContext } from "../../runs/stage.ts";
import { clusteredShare } from "../../statistics/clustered-share.ts";
import { bootstrapInterval } from "../../statistics/resampling.ts";
import type { PairLogProbs } from "../../tuning/pair-batch.ts";
import { marginOf, preferenceLoss, type ScoredPair } from "../../tuning/preference-loss.ts";
import type { PreferenceSettings } from "../../tuning/preference-settings.ts";
import { pairTokens } from "../../tuning/preference-tokens.ts";
import { scorePairs } from "../../tuning/score-pairs.ts";
import type { TokenPair } from "../../tuning/token-pair.ts";
import { writeJson, writeJsonLines } from "../artifacts/json-files.ts";
import { loadModelAndTokenizer, withDevice } from "../artifacts/loading.ts";
import {
  type PairEvaluation,
  type PairInterval,
  pairEvaluationFile,
  type ScoredPairRecord,
  scoredPairsFile,
} from "../artifacts/pair-evaluation.ts";
import { heldOutPairs, readPairs } from "../artifacts/pairs.ts";

export interface EvaluatePairsSettings {
  /** How the tuning scores pairs; where it is not known, how they are scored instead. */
  readonly preference: PreferenceSettings;
  /** Whether this run tuned the model. */
  readonly isTuned: boolean;
  /** Maximum number of held-out pairs. */
  readonly pairs: number;
  readonly pairsAtOnce: number;
}

type Context = StageContext<EvaluatePairsSettings, "model" | "tuned" | "texts">;

/** Scores held-out pairs by the tuned model and by the base model, which is the reference. */
export const evaluatePairsStage: Stage<EvaluatePairsSettings, "model" | "tuned" | "texts"> = {
  name: "evaluate-pairs",
  codeVersion: 4,
  run: (context) =>
    withDevice(context, async (device) => {
      const { settings, input, output, random } = context;
      const { model: base, tokenizer } = await loadModelAndTokenizer(device, input("model"));
      const tuned = await loadModel(device, input("tuned"));
      const all = await readPairs(input("texts"), heldOutPairs);
      const read = all.slice(0, settings.pairs).flatMap((record) => {
        const made = pairTokens(record, tokenizer, settings.preference.tokens);
        return made.kind === "pair" ? [{ record, pair: made.pair }] : [];
      });
      const scores = await scoreBoth(
        context,
        device,
        { base, tuned },
        read.map(({ pair }) => pair),
      );
      const records = read.map(({ record: { id, group }, pair }, at): ScoredPairRecord => {
        const lengths = { chosen: pair.chosen.answer.length, rejected: pair.rejected.answer.length };
        return { id, group, base: scoreAt(scores.base, at), tuned: scoreAt(scores.tuned, at), lengths };
      });
      await writeJsonLines(output, scoredPairsFile, records);
      await writeJson(output, pairEvaluationFile, await evaluationOf(records, settings, random));
    }),
};

type Role = "base" | "tuned";
const roles: readonly Role[] = ["base", "tuned"];

const scoresSchema = z.array(z.tuple([z.int(), z.number(), z.number()]));
const placeSchema = z.object({ base: scoresSchema, tuned: scoresSchema });

/** Log-probabilities by both models; goes on from a checkpoint. */
async function scoreBoth(
  { settings, resumed, progress, stepDone, signal }: Context,
  device: Device,
  models: Readonly<Record<Role, LoadedModel>>,
  pairs: readonly TokenPair[],
): Promise<Readonly<Record<Role, readonly PairLogProbs[]>>> {
  const place = resumed === undefined ? { base: [], tuned: [] } : placeSchema.parse(resumed.state);
  const found = { base: knownFrom(place.base), tuned: knownFrom(place.tuned) };
  const scores: Partial<Record<Role, readonly PairLogProbs[]>> = {};
  for (const role of roles)
    scores[role] = await scorePairs(device, models[role], pairs, {
      pairsAtOnce: settings.pairsAtOnce,
      known: found[role],
      onBatch: async (own) => {
        signal.throwIfAborted();
        found[role] = new Map(own);
        progress(found.base.size + found.tuned.size, 2 * pairs.length, "pairs");
        await stepDone(() => ({ state: { base: rowsOf(found.base), tuned: rowsOf(found.tuned) } }));
      },
    });
  return { base: scores.base ?? [], tuned: scores.tuned ?? [] };
}

function knownFrom(rows: z.infer<typeof scoresSchema>): ReadonlyMap<number, PairLogProbs> {
  return new Map(rows.map(([index, chosen, rejected]) => [index, { chosen, rejected }]));
}

function rowsOf(found: ReadonlyMap<number, PairLogProbs>): z.infer<typeof scoresSchema> {
  return [...found].map(([index, { chosen, rejected }]) => [index, chosen, rejected]);
}

function scoreAt(scores: readonly PairLogProbs[], at: number): PairLogProbs {
  return scores[at] ?? { chosen: Number.NaN, rejected: Number.NaN };
}

/** The measures of scored pairs, with intervals over prompts. */
async function evaluationOf(
  records: readonly ScoredPairRecord[],
  { preference, isTuned }: EvaluatePairsSettings,
  random: Random,
): Promise<PairEvaluation> {
  const groups = records.map(({ group }) => group);
  // Every measure is resampled alike, so that the same resamples decide all intervals.
  const interval = async (value: (record: ScoredPairRecord) => number): Promise<PairInterval> => {
    const values = Float64Array.from(records, value);
    const mean = (rows: Int32Array): number => rows.reduce((sum, row) => sum + (values[row] ?? 0), 0) / rows.length;
    const { estimate, low, high } = await bootstrapInterval(groups, mean, { random: random.fork("intervals") });
    return { mean: estimate, low, high };
  };
  const share = (value: (record: ScoredPairRecord) => number): PairInterval => {
    const { proportion, low, high } = clusteredShare(Float64Array.from(records, value), groups);
    return { mean: proportion, low, high };
  };
  const compared = async (value: (record: ScoredPairRecord, role: Role) => number) => ({
    base: await interval((record) => value(record, "base")),
    tuned: await interval((record) => value(record, "tuned")),
    change: await interval((record) => value(record, "tuned") - value(record, "base")),
  });
  const comparedShares = async (value: (record: ScoredPairRecord, role: Role) => number) => ({
    base: share((record) => value(record, "base")),
    tuned: share((record) => value(record, "tuned")),
    change: await interval((record) => value(record, "tuned") - value(record, "base")),
  });
  const scored = ({ base, lengths, ...record }: ScoredPairRecord, role: Role): ScoredPair => ({
    policy: role === "tuned" ? record.tuned : base,
    reference: base,
    lengths,
  });
  const perToken = ({ lengths, ...record }: ScoredPairRecord, role: Role): boolean =>
    record[role].chosen / lengths.chosen > record[role].rejected / lengths.rejected;
  return {
    kind: "pairs",
    pairs: records.length,
    groups: new Set(groups).size,
    beta: preference.beta,
    loss: preference.loss.kind,
    tokens: preference.tokens.rule,
    isTuned,
    accuracy: share((record) => Number(marginOf(scored(record, "tuned")) > 0)),
    margin: await interval((record) => marginOf(scored(record, "tuned"))),
    logRatios: {
      chosen: await interval(({ base, tuned }) => tuned.chosen - base.chosen),
      rejected: await interval(({ base, tuned }) => tuned.rejected - base.rejected),
    },
    lossBy: await compared((record, role) => preferenceLoss(scored(record, role), preference)),
    likelihood: await comparedShares((record, role) => Number(record[role].chosen > record[role].rejected)),
    likelihoodPerToken: await comparedShares((record, role) => Number(perToken(record, role))),
    longer: share(({ lengths: { chosen, rejected } }) => (1 + Math.sign(chosen - rejected)) / 2),
  };
}
