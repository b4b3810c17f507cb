/** What the tables of a comparison share: figures in digits, names of groups of seeds. */
import type { Finding, RunComparison, RunFigure, SeedsFigure } from "../../../protocol/comparison.ts";

/** Stands where a run has no such setting or figure. */
export const NONE = "–";

/** A number in three decimals, or three significant digits where it is very small or large. */
export function digits(value: number): string {
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 5e-4) return value.toExponential(2);
  return size >= 100 ? value.toFixed(1) : value.toFixed(3);
}

/** `0.427 [0.312, 0.553]`; without an interval the value alone, and a dash for none. */
export function figureInWords(figure: RunFigure | null): string {
  if (figure === null) return NONE;
  const { value, low, high } = figure;
  return low === null || high === null ? digits(value) : `${digits(value)} [${digits(low)}, ${digits(high)}]`;
}

/** The same for a mean over seeds, with their number if it is not that of the whole group. */
export function seedsInWords(figure: SeedsFigure | null, all: number): string {
  if (figure === null) return NONE;
  const { count, mean, low, high } = figure;
  return `${digits(mean)} [${digits(low)}, ${digits(high)}]${count === all ? "" : ` n ${count}`}`;
}

/** A group of seeds by the names of its runs. */
export function groupName({ runs }: Pick<RunComparison, "runs">, group: readonly number[]): string {
  return group.map((at) => runs[at]?.name ?? "").join(", ");
}

/** The findings that runs of a group have in common, for tables between seeds. */
export function findingsOverSeeds({ findings }: Pick<RunComparison, "findings">): Finding[] {
  return findings.filter(({ overSeeds }) => overSeeds.some((one) => one !== null));
}
