import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CommandResult, defineCommand } from "../cli/command.ts";
import { option } from "../cli/options.ts";
import { quantiles } from "../common/quantiles.ts";
import { FeatureQuery } from "../protocol/features.ts";
import { FeatureStore } from "../store/store.ts";
import { plantedCopies, plantedWord, writeSyntheticStore } from "../store/synthetic.ts";
import { BenchCheckError, peakRssMB } from "./timing.ts";

/** The longest acceptable wait for the table: for its first page, and for the page after a key in the search field. */
const budget = { features: 100_000, firstPageMs: 200, searchMs: 100 } as const;
const layers = 5;
/**
 * Searches: a word that few features have, one that nearly all have, two words of which the second is incomplete, one
 * without matches.
 */
const searches = [plantedWord(7), "film", "film gre", "zzz"];
const rowsPerPage = 200;

type Times = ReturnType<typeof quantiles>;

export const benchFeatures = defineCommand({
  usage: "[options]",
  about:
    "Times pages of the feature table over a made-up store: the first page of a store that was just opened, and pages of searches for words that few, nearly all and " +
    "no features have; median and 95th percentile in milliseconds. Before that it checks which features they find.",
  options: {
    features: option.integer("features in the store, over five layers", budget.features, {
      min: 1000,
      max: 5_000_000,
    }),
    repeats: option.integer("pages of each kind", 20, { min: 1, max: 10_000 }),
  },
  run: async ({ options, signal, note }): Promise<CommandResult> => {
    const folder = await mkdtemp(join(tmpdir(), "lfp-bench-features-"));
    try {
      note(`making a store of ${options.features} features`);
      const perLayer = Math.floor(options.features / layers);
      const path = madeStore(folder, perLayer);
      signal.throwIfAborted();
      note("checking and timing");
      const firstPageMs = timesOf(options.repeats, () => firstPage(path, perLayer));
      using store = FeatureStore.open(path);
      const found = searches.map((search) => {
        const total = checkedSearch(store, search, perLayer);
        return { search, found: total, ms: timesOf(options.repeats, () => pageOf(store, search)) };
      });
      const json = {
        name: "features",
        check: "ok",
        features: layers * perLayer,
        firstPageMs,
        searches: found,
        budget: judged(layers * perLayer, firstPageMs, found),
        peakRssMB: peakRssMB(),
      };
      return { json, text: asText(json.features, firstPageMs, found) };
    } finally {
      await rm(folder, { recursive: true });
    }
  },
});

function madeStore(folder: string, perLayer: number): string {
  const made = join(folder, "made.sqlite");
  writeSyntheticStore(made, { layers, features: perLayer });
  const path = join(folder, "features.sqlite");
  using store = FeatureStore.open(path, { create: true });
  store.refill({ path: made, key: "bench" });
  return path;
}

/** Reads the first page of a newly opened store, so that SQLite's cache is empty. */
function firstPage(path: string, perLayer: number): void {
  using store = FeatureStore.open(path);
  const { total, rows } = pageOf(store, "");
  check("living features", total, layers * (perLayer - 1));
  check("the largest contribution", Math.abs(rows[0]?.contribution ?? 0), 0.5 - 1 / perLayer);
}

function pageOf(store: FeatureStore, search: string) {
  return store.query(FeatureQuery.parse({ search }), { offset: 0, count: rowsPerPage });
}

function checkedSearch(store: FeatureStore, search: string, perLayer: number): number {
  const { total } = pageOf(store, search);
  if (search === plantedWord(7)) check(`features with "${search}"`, total, layers * plantedCopies(7, perLayer));
  if (search === "zzz") check(`features with "${search}"`, total, 0);
  // Each of a feature's windows has 31 words drawn from 16: hardly any lacks this word.
  if (search === "film" && total < 0.9 * layers * perLayer)
    throw new BenchCheckError(`features with "${search}"`, `${total}`, "nearly all");
  return total;
}

function check(what: string, got: number, expected: number): void {
  if (Math.abs(got - expected) > 1e-9) throw new BenchCheckError(what, `${got}`, `${expected}`);
}

function timesOf(repeats: number, work: () => unknown): Times {
  const ms = Array.from({ length: repeats }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return quantiles(ms);
}

/** Compares the times with the budget; null for a store of another size. */
function judged(features: number, first: Times, found: readonly { readonly ms: Times }[]) {
  if (features !== budget.features) return null;
  const gotFirstPageMs = first.p95;
  const gotSearchMs = Math.max(...found.map(({ ms }) => ms.p95));
  const met = gotFirstPageMs < budget.firstPageMs && gotSearchMs < budget.searchMs;
  return { ...budget, gotFirstPageMs, gotSearchMs, met };
}

function asText(
  features: number,
  first: Times,
  found: readonly { search: string; found: number; ms: Times }[],
): string {
  const line = (name: string, { p50, p95 }: Times): string => `${name.padEnd(24)}${p50} ms, 95 % within ${p95} ms`;
  return [
    `${features} features`,
    line("first page", first),
    ...found.map(({ search, found: total, ms }) => `${line(`search "${search}"`, ms)} (${total} found)`),
  ].join("\n");
}
