/** References for the kernels of norms.ts: plain loops in double precision. */
import type { NormShape } from "./norms.ts";

/** [rows, 2]: mean (0 if not centred) and 1 / sqrt(variance + eps). */
export function statisticsReference(x: Float32Array, { rows, columns, eps, centred }: NormShape): Float64Array {
  const found = new Float64Array(rows * 2);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    let squares = 0;
    for (let c = 0; c < columns; c++) sum += x[row * columns + c]!;
    const mean = centred ? sum / columns : 0;
    for (let c = 0; c < columns; c++) squares += (x[row * columns + c]! - mean) ** 2;
    found.set([mean, 1 / Math.sqrt(squares / columns + eps)], 2 * row);
  }
  return found;
}

export function normReference(
  x: Float32Array,
  gamma: Float32Array,
  beta: Float32Array | undefined,
  shape: NormShape,
): Float64Array {
  const statistics = statisticsReference(x, shape);
  return Float64Array.from(x, (value, at) => {
    const [row, c] = [Math.floor(at / shape.columns), at % shape.columns];
    return (value - statistics[2 * row]!) * statistics[2 * row + 1]! * gamma[c]! + (beta?.[c] ?? 0);
  });
}

export function normGradXReference(
  x: Float32Array,
  gamma: Float32Array,
  dY: Float32Array,
  shape: NormShape,
): Float64Array {
  const { rows, columns, centred } = shape;
  const statistics = statisticsReference(x, shape);
  const y = new Float64Array(x.length);
  for (let row = 0; row < rows; row++) {
    const [mean, scale] = [statistics[2 * row]!, statistics[2 * row + 1]!];
    const base = row * columns;
    let plain = 0;
    let along = 0;
    for (let c = 0; c < columns; c++) {
      const g = dY[base + c]! * gamma[c]!;
      plain += centred ? g / columns : 0;
      along += (g * (x[base + c]! - mean) * scale) / columns;
    }
    for (let c = 0; c < columns; c++) {
      const xHat = (x[base + c]! - mean) * scale;
      y[base + c] = scale * (dY[base + c]! * gamma[c]! - plain - xHat * along);
    }
  }
  return y;
}
