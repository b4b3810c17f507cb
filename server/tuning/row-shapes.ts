/** The static shapes in which batches of pairs are read: few, because each has a program of its own. */
import { sizeOf } from "../engine/graph.ts";
import type { ModelConfig } from "../models/architectures.ts";
import { parametersOf } from "../models/model.ts";

/** Extents of a batch of pairs; pair-rows.ts lays it out. */
export interface RowShape {
  /** R: of the batch, not of a row. */
  readonly tokens: number;
  /** T */
  readonly rowPlaces: number;
  /** S: of the batch, not of a row. */
  readonly scoredPlaces: number;
  /** Tokens that are read of the longest text. */
  readonly textPlaces: number;
}

/** How much work a shape is, in products. */
export type RowCost = (shape: RowShape) => number;

/** Products of the layers for every token, of attention for every two places, and of the head for every scored token. */
export function rowCostOf(config: ModelConfig, pairs: number): RowCost {
  const { layers, heads, headDim, vocabSize, width } = config;
  const perToken = parametersOf(config).reduce(
    (sum, { role, part, shape }) => (role === "linear" && part !== "head" ? sum + sizeOf(shape) : sum),
    0,
  );
  return ({ tokens, rowPlaces, scoredPlaces }) =>
    tokens * perToken + 2 * pairs * rowPlaces ** 2 * layers * heads * headDim + scoredPlaces * vocabSize * width;
}

/** What a batch of pairs with these needs has to have: the longest row, and all tokens. */
export function batchNeeds(needs: readonly RowShape[]): RowShape {
  return {
    tokens: needs.reduce((sum, { tokens }) => sum + tokens, 0),
    rowPlaces: largest(needs, "rowPlaces"),
    scoredPlaces: needs.reduce((sum, { scoredPlaces }) => sum + scoredPlaces, 0),
    textPlaces: largest(needs, "textPlaces"),
  };
}

/**
 * Chooses up to `most` shapes for batches with these needs, cheap before dear: the one that fits all of them, then, one
 * by one, the shape that saves most work, as long as it saves more than compiling it costs.
 */
export function rowShapesFor(batches: readonly RowShape[], cost: RowCost, most: number): RowShape[] {
  const textPlaces = largest(batches, "textPlaces");
  const whole = {
    tokens: largest(batches, "tokens"),
    rowPlaces: largest(batches, "rowPlaces"),
    scoredPlaces: largest(batches, "scoredPlaces"),
    textPlaces,
  };
  const every = Math.ceil(batches.length / mostSampled);
  const sample = batches.filter((_, at) => at % every === 0);
  const candidates = quantiles(sample, "tokens").flatMap((tokens) =>
    quantiles(sample, "rowPlaces").flatMap((rowPlaces) =>
      quantiles(sample, "scoredPlaces").map((scoredPlaces) => ({ tokens, rowPlaces, scoredPlaces, textPlaces })),
    ),
  );
  const chosen: RowShape[] = [whole];
  let costs = sample.map(() => cost(whole));
  while (chosen.length < most) {
    const saved = (shape: RowShape): number => {
      const own = cost(shape);
      return sample.reduce(
        (sum, needs, at) => (fits(shape, needs) ? sum + Math.max(0, (costs[at] ?? 0) - own) : sum),
        0,
      );
    };
    const savings = candidates.map(saved);
    const best = Math.max(...savings);
    const shape = candidates[savings.indexOf(best)];
    if (shape === undefined || every * best < compiling * cost(whole)) break;
    const own = cost(shape);
    costs = costs.map((before, at) => (fits(shape, sample[at] ?? whole) ? Math.min(before, own) : before));
    chosen.push(shape);
  }
  return chosen.toSorted((a, b) => cost(a) - cost(b));
}

/** The first of these shapes that fits. */
export function smallestRowShape(shapes: readonly RowShape[], needs: RowShape): RowShape {
  return shapes.find((shape) => fits(shape, needs)) ?? needs;
}

/** What compiling a program is set against, in runs of the largest shape. */
const compiling = 2;
/** Batches that the choice looks at, evenly taken. */
const mostSampled = 300;
/** Candidates of each extent. */
const levels = 8;

function fits(shape: RowShape, needs: RowShape): boolean {
  return shape.tokens >= needs.tokens && shape.rowPlaces >= needs.rowPlaces && shape.scoredPlaces >= needs.scoredPlaces;
}

function largest(needs: readonly RowShape[], extent: keyof RowShape): number {
  return needs.reduce((most, one) => Math.max(most, one[extent]), 1);
}

function quantiles(needs: readonly RowShape[], extent: keyof RowShape): number[] {
  const sorted = needs.map((one) => one[extent]).toSorted((a, b) => a - b);
  const at = (level: number): number => sorted[Math.ceil((sorted.length * level) / levels) - 1] ?? 1;
  return [...new Set(Array.from({ length: levels }, (_, level) => at(level + 1)))];
}
