/** Reads single figures from a stage's output without its whole schema; undefined where the output lacks the figure. */
import { z } from "zod";

/** A figure with the 95 % interval within its run, where there is one. */
export interface Measured {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** Returns undefined if the output lacks the figure. */
export type Reader = (output: unknown) => Measured | undefined;

export function kendall(path: string): Reader {
  return (output) => measured(output, `${path}.tau`, `${path}.interval.low`, `${path}.interval.high`);
}

export function interval(path: string): Reader {
  return (output) => measured(output, `${path}.mean`, `${path}.low`, `${path}.high`);
}

export function difference(path: string): Reader {
  return (output) => measured(output, `${path}.difference`, `${path}.interval.low`, `${path}.interval.high`);
}

export function share(path: string): Reader {
  return (output) => measured(output, `${path}.share`, `${path}.low`, `${path}.high`);
}

export function valued(path: string): Reader {
  return (output) => measured(output, `${path}.value`, `${path}.low`, `${path}.high`);
}

/** A number that stands there plain, with its interval under another name. */
export function plain(path: string, intervalPath: string): Reader {
  return (output) => measured(output, path, `${intervalPath}.low`, `${intervalPath}.high`);
}

/** How well a calibration's reading finds planted words. */
export function plantedAuroc(reading: string): Reader {
  const path = `readings.${reading}.words`;
  return (output) => measured(output, `${path}.auroc`, `${path}.low`, `${path}.high`);
}

/** The mean over the tuned model's entries of a list, without an interval: the spread over layers is not one. */
export function meanOf(list: string, field: string): Reader {
  return (output) =>
    meanOver(
      entriesOf(output, list).filter((entry) => at(entry, "model") === "tuned"),
      field,
    );
}

/** The mean over the layers that the run studies. */
export function studiedMean(field: string): Reader {
  return (output) => {
    const chosen = entriesOf(output, "chosen");
    const layers = entriesOf(output, "layers").filter((layer) => chosen.includes(at(layer, "layer")));
    return meanOver(layers, field);
  };
}

/** The change by the ablation of the set. */
export function ablationChange(output: unknown): Measured | undefined {
  const conditions = entriesOf(output, "set.conditions");
  return interval("reward.change")(conditions.find((condition) => at(condition, "kind") === "this"));
}

/** The same for the set doubled, which stands beside it. */
export function doubledChange(output: unknown): Measured | undefined {
  const isDoubled = (one: unknown): boolean => {
    const features = z.array(z.object({ factor: z.number() })).safeParse(at(one, "result.features")).data ?? [];
    return features.length > 0 && features.every(({ factor }) => factor === 2);
  };
  return ablationChange({ set: at(entriesOf(output, "beside").find(isDoubled), "result") });
}

/** The change for a part: for MLPs the studied layers' row if the run does not study all; other parts have one row. */
export function restoredChange(part: string): Reader {
  return (output) => {
    const own = entriesOf(output, "parts").filter((one) => at(one, "part") === part);
    return interval("change")(own.find((one) => at(one, "studied") === true) ?? own[0]);
  };
}

function meanOver(entries: readonly unknown[], field: string): Measured | undefined {
  const values = entries.map((entry) => at(entry, field)).filter((value) => typeof value === "number");
  if (values.length === 0) return undefined;
  return { value: values.reduce((sum, value) => sum + value, 0) / values.length, low: null, high: null };
}

function entriesOf(output: unknown, list: string): readonly unknown[] {
  return z.array(z.unknown()).safeParse(at(output, list)).data ?? [];
}

function measured(output: unknown, value: string, low: string, high: string): Measured | undefined {
  const found = at(output, value);
  if (typeof found !== "number") return undefined;
  const end = (path: string): number | null => {
    const number = at(output, path);
    return typeof number === "number" ? number : null;
  };
  return { value: found, low: end(low), high: end(high) };
}

/** The value at a path `a.b.c`; undefined if the path does not exist. */
function at(value: unknown, path: string): unknown {
  let found = value;
  for (const name of path.split(".")) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
    found = Object.entries(found).find(([key]) => key === name)?.[1];
  }
  return found;
}
