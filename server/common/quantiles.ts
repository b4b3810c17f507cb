/** The median and the 95th percentile (nearest rank), to two decimals. */
export function quantiles(values: readonly number[]): { readonly p50: number; readonly p95: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => {
    const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
    return Math.round(100 * value) / 100;
  };
  return { p50: at(0.5), p95: at(0.95) };
}
