/** The classification as the paper's published code computes it (reference/preferences.md 3.7). */
import { Random } from "../common/random.ts";
import { type RowMatrix, rowMatrix } from "../statistics/linear-algebra.ts";
import { predictLinear } from "../statistics/linear-model.ts";
import { fitLogistic, type LogisticOptions, OneClassError } from "../statistics/logistic.ts";
import { auroc } from "../statistics/ranks.ts";
import type { Contrast } from "../tasks/contrast.ts";
import type { ClassificationReport } from "./classification-types.ts";
import { type SpanFeatures, takeRows } from "./features.ts";

/**
 * `train_test_split(test_size=0.2)` of the rows, whose answers to one prompt may part; then `LogisticRegression()` at
 * its defaults on columns as they are. Equal texts count once. `published` [2n] are the features of answers alone,
 * averaged over padding too.
 */
export function publishedClassification(
  published: SpanFeatures,
  contrasts: readonly Contrast[],
  { seed }: { readonly seed: number },
): ClassificationReport["asPublished"] {
  const n = contrasts.length;
  const seen = new Set<string>();
  const rows: number[] = [];
  for (const [row, text] of textsOf(contrasts).entries()) {
    if (seen.has(text)) continue;
    seen.add(text);
    rows.push(row);
  }
  const order = Random.fromSeed(seed).fork("as published").shuffled(rows);
  const tested = Math.ceil(0.2 * order.length);
  const [test, train] = [order.slice(0, tested), order.slice(tested)];
  const { data, columns } = published.rows;
  const matrix = rowMatrix(data.subarray(0, 2 * n * columns), 2 * n, columns);
  const labelled = (some: readonly number[]) => some.map((row) => row < n);
  const groupOf = (row: number): string => contrasts[row % n]?.group ?? "";
  const trained = new Set(train.map(groupOf));
  return {
    trainRows: train.length,
    testRows: test.length,
    sharedGroups: test.filter((row) => trained.has(groupOf(row))).length,
    ...publishedScores(matrix, labelled, { train, test }),
  };
}

/** Accuracy and AUROC on test rows of the classifier at scikit-learn's defaults; null where a class has no rows. */
export function publishedScores(
  matrix: RowMatrix,
  labelled: (rows: readonly number[]) => boolean[],
  { train, test }: Readonly<Record<"train" | "test", readonly number[]>>,
  options: LogisticOptions = {},
): { readonly accuracy: number | null; readonly auroc: number | null; readonly converged: boolean } {
  try {
    const fit = fitLogistic(takeRows(matrix, Int32Array.from(train)), labelled(train), options);
    const scores = predictLinear(fit, takeRows(matrix, Int32Array.from(test)));
    const labels = labelled(test);
    const right = scores.filter((score, at) => score > 0 === labels[at]).length;
    const area = auroc(scores, labels);
    return { accuracy: right / test.length, auroc: Number.isNaN(area) ? null : area, converged: fit.converged };
  } catch (error) {
    if (!(error instanceof OneClassError)) throw error;
    return { accuracy: null, auroc: null, converged: false };
  }
}

function textsOf(contrasts: readonly Contrast[]): string[] {
  return (["positive", "negative"] as const).flatMap((side) =>
    contrasts.map((contrast) => contrast[side].text.slice(contrast[side].start, contrast[side].end)),
  );
}
