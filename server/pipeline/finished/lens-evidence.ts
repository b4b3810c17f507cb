import type { LensEvidence, SignAccuracy } from "../../lens/subject.ts";
import type { ClassificationReport } from "../../probe/classification-types.ts";
import type { ProbeKind, ProbeReport, RegressionReport } from "../../probe/report-types.ts";
import type { WordRatings } from "../../rewards/word-ratings.ts";
import { percentiles } from "../../statistics/percentile.ts";

type Reports = { readonly [K in ProbeKind]: Extract<ProbeReport, { kind: K }> };

const evidence: {
  readonly [K in ProbeKind]: (report: Reports[K], ratings: WordRatings | undefined) => LensEvidence;
} = { regression: evidenceOfRegression, classification: evidenceOfClassification };

/** A probe's evaluation as evidence for readings in general. */
export function evidenceOf<K extends ProbeKind>(
  report: { readonly kind: K } & Reports[K],
  ratings: WordRatings | undefined,
): LensEvidence {
  return evidence[report.kind](report, ratings);
}

/** Uses held-out words only, not those that the probe was fitted on. */
function evidenceOfRegression({ byTriple, byWord }: RegressionReport, ratings: WordRatings | undefined): LensEvidence {
  const counts = new Map([...byTriple.lexicon, ...byWord.lexicon].map(({ word, tuningCount }) => [word, tuningCount]));
  const { kendall, signAccuracy } = byWord.probe;
  return {
    kind: "regression",
    seenInTuning: (word) => counts.get(word) ?? undefined,
    signAccuracy: { positive: proportion(signAccuracy.positive), negative: proportion(signAccuracy.negative) },
    tau: kendall.tau === null || kendall.permutationP === null ? null : { value: kendall.tau, p: kendall.permutationP },
    typicalSize: typicalSize(
      byWord.lexicon.map(({ predicted }) => Math.abs(predicted)),
      ratings,
    ),
    typicalRating: ratings?.typicalSize ?? null,
  };
}

function evidenceOfClassification({
  probe: { accuracy },
  baselines: { length },
  contrasts,
  typicalSize: size,
}: ClassificationReport): LensEvidence {
  const { value, low, high } = accuracy;
  return {
    kind: "classification",
    accuracy: value === null || low === null || high === null ? null : { share: value, low, high },
    lengthAccuracy: length?.accuracy.value ?? null,
    contrasts,
    typicalSize: size > 0 ? size : 1,
    typicalRating: null,
  };
}

function proportion({
  share,
  low,
  high,
  of,
}: {
  share: number | null;
  low: number;
  high: number;
  of: number;
}): SignAccuracy | null {
  return share === null ? null : { share, low, high, words: of };
}

/** 95th percentile of the readings' sizes; of the ratings' if no words were read. */
function typicalSize(predicted: readonly number[], ratings: WordRatings | undefined): number {
  const sizes = predicted.length > 0 ? predicted : [...(ratings?.values.values() ?? [])].map(Math.abs);
  const [size = 1] = sizes.length > 0 ? percentiles(Float64Array.from(sizes), [95]) : [];
  return size > 0 ? size : 1;
}
