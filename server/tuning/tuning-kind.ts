/** What the rest of the program asks of a way of tuning without running it. */

/** What is known of a tuning before it runs. */
export interface TuningFacts {
  /** For the head of a report. */
  readonly inWords: string;
  /** The fewest texts that it can learn from, and the field that says so. */
  readonly fewestTexts: { readonly field: string; readonly count: number };
  readonly steps: number;
  /** That it learns from, all steps together. */
  readonly completions: number;
}

/** A way of tuning whose settings are a `Config`. */
export interface TuningKind<Config> {
  facts(config: Config): TuningFacts;
  /** The same with another number of steps, at least one. */
  withSteps(config: Config, steps: number): Config;
  /** The settings as they key what they make: `kind` and all, unless runs were made before there were kinds. */
  keyed(config: Config): Readonly<Record<string, unknown>>;
}

export type TuningTable<Kinds> = { readonly [K in keyof Kinds]: TuningKind<Kinds[K]> };

/** Settings of a tuning, of one of some kinds. */
export type TuningOf<Kinds> = { readonly kind: keyof Kinds } & Kinds[keyof Kinds];
