/** Scales of axes: data values to pixels, and round tick values. */

export interface Scale {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly number[];
  /** Position of a value between `start` and `end`, in pixels. */
  at(value: number): number;
}

/** A scale with round ticks that covers all values and, if requested, zero. */
export function scaleOf(
  values: readonly number[],
  {
    start,
    end,
    withZero = false,
    ticks = 5,
  }: { readonly start: number; readonly end: number; readonly withZero?: boolean; readonly ticks?: number },
): Scale {
  const all = withZero || values.length === 0 ? [...values, 0] : values;
  const [low, high] = all.reduce(
    ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Infinity, -Infinity],
  );
  const step = roundStep((high - low || Math.abs(high) || 1) / ticks);
  const from = Math.floor(low / step + 1e-9) * step;
  const to = Math.max(Math.ceil(high / step - 1e-9) * step, from + step);
  const marks = Array.from({ length: Math.round((to - from) / step) + 1 }, (_, at) =>
    Number((from + at * step).toPrecision(12)),
  );
  return { from, to, ticks: marks, at: (value) => start + ((value - from) / (to - from)) * (end - start) };
}

/** Rounds a step up to 1, 2 or 5 times a power of ten. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= step * (1 - 1e-9)) ?? 10;
  return factor * power;
}
