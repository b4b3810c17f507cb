/**
 * The regression probe (Marks et al., section 3.3; reference/method.md 1.9): can a linear function of the features
 * at a word recover the feedback's value for it, or how tuning changed its prediction (`settings.target`)?
 *
 * It is evaluated twice, on words that the probe knows from other sentences (split by triple) and on held-out words
 * (split by word), each beside controls that could reach the same score without such knowledge.
 */
import { Pacer } from "../common/pacer.ts";
import { rewardScale } from "./deltas.ts";
import { type Familiarity, familiarityOf } from "./familiarity.ts";
import { countNonZero } from "./features.loops.ts";
import { polarRows, type TripleFeatures } from "./features.ts";
import type { FoldResult } from "./fold-fit.ts";
import type { LinearProbe } from "./linear-probe.ts";
import { computePart, partContext, partKeeper, partKeys, partName, type RunPart, targetFor } from "./parts.ts";
import type { ControlInput, ProbeData } from "./probe-data.ts";
import type { ProbeSettings, RegressionReport } from "./report-types.ts";
import { forgetful, keeper, type PartStore } from "./saved-parts.ts";
import { evaluateSplit } from "./split-report.ts";
import { type WordFolds, wordFoldsOf } from "./word-folds.ts";

export interface ProbeEvaluation {
  readonly report: RegressionReport;
  /** Fitted on the training triples of the split by triple: the one whose test is `report.byTriple`. */
  readonly probe: LinearProbe;
  /** The held-out triples. */
  readonly testTriples: readonly string[];
  /** The probes behind `report.byWord`. */
  readonly wordFolds: WordFolds;
  /**
   * Depends on the features alone, not on the target: undefined for log-ratios, since the probe of the deltas has
   * it.
   */
  readonly familiarity: Familiarity | undefined;
}

/**
 * Fits and tests the probe. A pure function of data and settings: equal ones give equal JSON, wherever `run` computes the
 * parts. Throws `TooFewTriplesError` and
 * `UnratedWordError`, and the signal's reason soon after it is aborted.
 */
export async function evaluateProbe(
  data: ProbeData,
  settings: ProbeSettings,
  parts: PartStore = forgetful,
  signal?: AbortSignal,
  run: RunPart = computePart,
): Promise<ProbeEvaluation> {
  const { triples, features } = data;
  const shared = partContext(data, settings, new Pacer(signal));
  const { rows, pacer } = shared;
  const { triple: byTriple, word: byWord } = shared.splits;
  const target = targetFor(features, shared);
  const keep = partKeeper(keeper(parts), run, shared);
  const context = { ...shared, data, keep };
  const first = await evaluateSplit(byTriple, context);
  const second = await evaluateSplit(byWord, context);
  const polar = polarRows(features);
  const report: RegressionReport = {
    kind: "regression",
    settings,
    triples: triples.length,
    features: {
      total: polar.columns,
      layers: [...features.layers],
      nonZero: countNonZero(polar.data) / polar.data.length,
    },
    deltas: rewardScale(target.values.filter((value) => !Number.isNaN(value))),
    byTriple: first.report,
    byWord: second.report,
  };
  const testRows = byTriple.folds[0]?.test ?? new Int32Array();
  const tested = new Set(Array.from(testRows, (row) => row % triples.length));
  const testTriples = triples.filter((_, index) => tested.has(index)).map(({ id }) => id);
  const familiarityOfDeltas = () =>
    familiarityOf(features, {
      train: byTriple.folds[0]?.train ?? new Int32Array(),
      byWord,
      alpha: settings.alpha,
      pacer,
      heldOut: (fold) => keep({ kind: "leverages", fold }),
    });
  const familiarity = settings.target === "deltas" ? await familiarityOfDeltas() : undefined;
  return {
    report,
    probe: probeOf(first.folds[0], features),
    testTriples,
    wordFolds: wordFoldsOf(byWord, rows.words, second.folds),
    familiarity,
  };
}

/** Names of all parts that an evaluation stores, in order. */
export function partsOf(data: Pick<ProbeData, ControlInput>, settings: ProbeSettings): string[] {
  return partKeys(data, settings).map(partName);
}

function probeOf(result: FoldResult | undefined, { layers }: TripleFeatures): LinearProbe {
  const { weights = [], intercept = 0, deltaScale = null, outputScale = null } = result ?? {};
  return { layers, weights: Float32Array.from(weights), intercept, deltaScale, outputScale };
}
