/** LayerNorm and RMSNorm over rows, forward and backward. One workgroup per row; statistics in two passes. */
import { defineKernel, foldedGrid, type Launch, lanesFor, sumAll } from "./wgsl.ts";

export interface NormShape {
  readonly rows: number;
  readonly columns: number;
  readonly eps: number;
  /** LayerNorm subtracts the mean; RMSNorm does not. */
  readonly centred: boolean;
}

/** The row's mean (0 if not centred) and 1 / sqrt(variance + eps). */
const statistics = (size: number, centred: boolean): string => `
  if (group >= p.rows) { return; }
  let base = group * p.columns;
  let count = f32(p.columns);
  ${
    centred
      ? `var sum = 0.0f;
  for (var c = lane; c < p.columns; c += ${size}u) { sum += x[base + c]; }
  let mean = sumAll(sum, lane) / count;`
      : "let mean = 0.0f;"
  }
  var squares = 0.0f;
  for (var c = lane; c < p.columns; c += ${size}u) { let d = x[base + c] - mean; squares += d * d; }
  let scale = 1.0f / sqrt(sumAll(squares, lane) / count + p.eps);`;

/** (x, gamma[, beta]) -> (x - mean) scale gamma [+ beta]. */
export function normLaunch(shape: NormShape): Launch {
  const { columns, centred } = shape;
  const size = lanesFor(columns);
  const beta = centred ? " + beta[c]" : "";
  return launch(
    shape,
    centred ? "layerNorm" : "rmsNorm",
    ["x", "gamma", ...(centred ? ["beta"] : [])],
    `
  for (var c = lane; c < p.columns; c += ${size}u) { y[base + c] = (x[base + c] - mean) * scale * gamma[c]${beta}; }`,
  );
}

/** (x, gamma, dY) -> scale (g - mean(g) - xHat mean(g xHat)) with g = dY gamma; RMSNorm has no mean(g). */
export function normGradXLaunch(shape: NormShape): Launch {
  const { columns, centred } = shape;
  const size = lanesFor(columns);
  return launch(
    shape,
    centred ? "layerNormGradX" : "rmsNormGradX",
    ["x", "gamma", "dY"],
    `
  var plain = 0.0f;
  var along = 0.0f;
  for (var c = lane; c < p.columns; c += ${size}u) {
    let g = dY[base + c] * gamma[c];
    plain += g;
    along += g * (x[base + c] - mean) * scale;
  }
  ${centred ? "plain = sumAll(plain, lane) / count;" : "plain = 0.0f;"}
  along = sumAll(along, lane) / count;
  for (var c = lane; c < p.columns; c += ${size}u) {
    let xHat = (x[base + c] - mean) * scale;
    y[base + c] = scale * (dY[base + c] * gamma[c] - plain - xHat * along);
  }`,
  );
}

/** x -> [rows, 2]: mean and scale, which the gradient for gamma, a sum over rows, needs. */
export function normStatisticsLaunch(shape: NormShape): Launch {
  return launch(
    shape,
    shape.centred ? "layerNormStatistics" : "rmsNormStatistics",
    ["x"],
    `
  if (lane == 0u) {
    y[2u * group] = mean;
    y[2u * group + 1u] = scale;
  }`,
  );
}

function launch(
  { rows, columns, eps, centred }: NormShape,
  name: string,
  reads: readonly string[],
  rest: string,
): Launch {
  const size = lanesFor(columns);
  const kernel = defineKernel({
    name,
    bindings: [
      ...reads.map((read) => ({ name: read, type: "f32", access: "read" }) as const),
      { name: "y", type: "f32", access: "read_write" },
    ],
    params: [
      { name: "rows", type: "u32" },
      { name: "columns", type: "u32" },
      { name: "eps", type: "f32" },
    ],
    size,
    declarations: sumAll(size),
    body: statistics(size, centred) + rest,
  });
  return { kernel, params: [rows, columns, eps], grid: foldedGrid(rows) };
}
