/** One experiment run with several seeds: the variation between seeds, beside the interval within one. */
import { mean, standardDeviation } from "../../statistics/moments.ts";
import { headlines, type Measured, titleOf } from "../artifacts/headlines.ts";
import { type Cell, type Figure, type Report, type Section, type Source, showCell, type Table } from "./document.ts";

/** The outcome of one seed. */
export interface SeedRun {
  readonly seed: number;
  /** Name of its run's folder. */
  readonly run: string;
  /** Why the run did not finish; null for a finished one. */
  readonly failure: string | null;
  /** By headline id; empty for a run that did not finish. */
  readonly figures: Readonly<Record<string, Measured>>;
}

/** A headline figure over the seeds that have it. */
export interface OverSeeds {
  readonly id: string;
  readonly name: string;
  readonly seeds: readonly number[];
  readonly values: readonly Measured[];
  readonly mean: number;
  /** Standard deviation between seeds, with n - 1; null for one seed. */
  readonly sd: number | null;
  /** Half the width of the 95 % interval within a run, mean over seeds; null without intervals. */
  readonly halfWidth: number | null;
  /** Seeds whose interval lies above zero, and below; null without intervals. */
  readonly above: number | null;
  readonly below: number | null;
}

/** Every headline figure that at least one seed has. */
export function figuresOverSeeds(runs: readonly SeedRun[]): OverSeeds[] {
  return headlines.flatMap((headline) => {
    const { id } = headline;
    const found = runs.flatMap(({ seed, figures }) => {
      const measured = figures[id];
      return measured === undefined ? [] : [{ seed, measured }];
    });
    if (found.length === 0) return [];
    const values = found.map(({ measured }) => measured);
    const all = values.map(({ value }) => value);
    const within = values.flatMap(({ low, high }) => (low === null || high === null ? [] : [{ low, high }]));
    const counted = (holds: (interval: { low: number; high: number }) => boolean): number | null =>
      within.length === 0 ? null : within.filter(holds).length;
    return [
      {
        id,
        name: titleOf(headline),
        seeds: found.map(({ seed }) => seed),
        values,
        mean: mean(all),
        sd: all.length < 2 ? null : standardDeviation(all),
        halfWidth: within.length === 0 ? null : mean(within.map(({ low, high }) => (high - low) / 2)),
        above: counted(({ low }) => low > 0),
        below: counted(({ high }) => high < 0),
      },
    ];
  });
}

/** The report over seeds; `source` is the whole report's. */
export function seedsReport(run: string, runs: readonly SeedRun[], source: Source): Report {
  const figures = figuresOverSeeds(runs);
  const finished = runs.filter(({ failure }) => failure === null);
  return {
    format: 1,
    run,
    seed: source.seed,
    seeds: runs.map(({ seed }) => seed),
    summary: findings(figures, runs),
    sections: [overSection(figures, finished, source), runsSection(runs, source)],
  };
}

function findings(figures: readonly OverSeeds[], runs: readonly SeedRun[]): string[] {
  const of = (id: string): OverSeeds | undefined => figures.find((figure) => figure.id === id);
  const line = (figure: OverSeeds | undefined, what: string, ...beside: readonly [OverSeeds | undefined, string][]) => {
    if (figure === undefined) return [];
    const others = beside.flatMap(([other, name]) => (other === undefined ? [] : [`${showCell(other.mean)} ${name}`]));
    const along = others.length === 0 ? "" : `; ${others.join(", ")}`;
    return [`${what}: ${inWords(figure)}${along}.`];
  };
  const lost = runs.filter(({ failure }) => failure !== null).map(({ seed }) => seed);
  return [
    ...line(of("gain"), "Reward gained by tuning", [of("kl"), "nats of KL"]),
    ...line(
      of("tau"),
      "Kendall's tau-b of the probe on words that it never saw",
      [of("tau-base"), "on the base model's features"],
      [of("tau-raw"), "on raw activations"],
      [of("tau-embedding"), "on the base model's token embeddings"],
    ),
    ...line(of("fitted-tau"), "Tau-b of the fitted log-ratio with the log-ratio of unseen words", [
      of("fitted-tau-base"),
      "on the base model's features",
    ]),
    ...line(of("learned-tau"), "Tau-b of the learned lexicon with the ratings", [of("learned-auroc"), "AUROC"]),
    ...line(of("ablation"), "Change of the reward by the ablation"),
    ...line(of("beyond-random"), "Beyond random features", [of("ablation-loss"), "nats of loss beyond theirs"]),
    ...(lost.length === 0
      ? []
      : [`Seeds that did not finish and are in none of these figures: ${lost.join(", ")} (see the last section).`]),
  ];
}

/** `0.438 over 5 seeds (sd 0.05, 0.367 to 0.504; interval above 0 in 5, below 0 in 0)`. */
function inWords({ mean: centre, sd, values, above, below }: OverSeeds): string {
  const all = values.map(({ value }) => value);
  const range = `${showCell(Math.min(...all))} to ${showCell(Math.max(...all))}`;
  const signs =
    above === null || below === null ? "" : `; the interval within lies above 0 in ${above}, below in ${below}`;
  const seeds = all.length === 1 ? "1 seed" : `${all.length} seeds`;
  return `${showCell(centre)} over ${seeds} (sd between seeds ${showCell(sd)}, ${range}${signs})`;
}

function overSection(figures: readonly OverSeeds[], finished: readonly SeedRun[], source: Source): Section {
  return {
    title: "What varies from seed to seed",
    text: [
      "A seed decides the prompts' order and every sampled completion of tuning, the first weights and batches of autoencoders, the triples and the folds of the probe. " +
        "An interval within a run tells how far its figure would move with other prompts or words, the standard deviation between seeds how far it moves with another tuning: only the second says whether a figure belongs to the method or to one run.",
    ],
    tables: [spreadTable(figures, source), valuesTable(figures, finished, source)],
    figures: figures.flatMap((figure) => intervalFigure(figure, source)),
  };
}

function spreadTable(figures: readonly OverSeeds[], source: Source): Table {
  return {
    id: "over-seeds",
    title: "Headline figures over seeds",
    source,
    columns: [
      "",
      "seeds",
      "mean",
      "sd between seeds",
      "lowest",
      "highest",
      "half width of the 95 % interval within a run, mean",
      "intervals above 0",
      "intervals below 0",
    ],
    rows: figures.map(({ name, values, mean: centre, sd, halfWidth, above, below }) => {
      const all = values.map(({ value }) => value);
      return [name, all.length, centre, sd, Math.min(...all), Math.max(...all), halfWidth, above, below];
    }),
    notes: ["Standard deviations with n - 1. Dictionaries: the mean over the tuned model's, which has no interval."],
  };
}

function valuesTable(figures: readonly OverSeeds[], finished: readonly SeedRun[], source: Source): Table {
  return {
    id: "by-seed",
    title: "Each seed's figures",
    source,
    columns: ["", ...finished.map(({ seed }) => `seed ${seed}`), "mean", "sd"],
    rows: figures.map(({ id, name, mean: centre, sd }): Cell[] => [
      name,
      ...finished.map((one) => one.figures[id]?.value ?? null),
      centre,
      sd,
    ]),
    notes: ["Their intervals are in seeds.json and in each seed's own report."],
  };
}

/** A figure with one row per seed; none unless two runs have an interval. */
function intervalFigure({ id, name, seeds, values, mean: centre, sd }: OverSeeds, source: Source): Figure[] {
  const rows = values.flatMap(({ value, low, high }, at) =>
    low === null || high === null ? [] : [{ label: `seed ${seeds[at]}`, value, low, high, control: false }],
  );
  if (rows.length < 2) return [];
  const notes = [`Mean ${showCell(centre)}, sd between seeds ${showCell(sd)}. 95 % intervals within each run.`];
  return [{ kind: "intervals", id: `seeds-${id}`, title: `${sentence(name)}, by seed`, source, x: name, rows, notes }];
}

function runsSection(runs: readonly SeedRun[], source: Source): Section {
  const table: Table = {
    id: "seed-runs",
    title: "The runs",
    source,
    columns: ["seed", "run", "how it ended"],
    rows: runs.map(({ seed, run, failure }) => [seed, run, failure ?? "done"]),
    notes: [
      "Each is a run of its own, beside this one's folder, with a report of its own; the same command goes on with those that did not finish.",
    ],
  };
  return { title: "The runs", text: [], tables: [table], figures: [] };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
