import { invariant } from "../common/errors.ts";
import { type ProportionInterval, wilsonInterval } from "./wilson.ts";

/**
 * The mean of values from 0 to 1 (mostly 0 and 1) with its 95 % interval, where rows of one group are not independent.
 * Wilson's interval at the effective number of rows, p (1 - p) / v, with v = sum over groups of (sum of x - p)² / n²;
 * for groups of one row that number is n, and the interval Wilson's own. Unlike resampling it does not shrink to nothing
 * where all rows agree: then every group counts as one row.
 */
export function clusteredShare(
  values: readonly number[] | Float64Array,
  groups: readonly (string | number)[],
): ProportionInterval {
  const n = values.length;
  invariant(groups.length === n, `${n} values have ${groups.length} groups`);
  if (n === 0) return wilsonInterval(0, 0);
  let sum = 0;
  for (const value of values) sum += value;
  const p = sum / n;
  const residuals = new Map<string | number, number>();
  for (const [at, group] of groups.entries()) residuals.set(group, (residuals.get(group) ?? 0) + (values[at] ?? 0) - p);
  const variance = [...residuals.values()].reduce((total, residual) => total + residual ** 2, 0) / n ** 2;
  const spread = p * (1 - p);
  const rows = spread > 0 ? (variance > 0 ? Math.min(n, spread / variance) : n) : residuals.size;
  return wilsonInterval(Math.min(rows, Math.max(0, p * rows)), rows);
}
