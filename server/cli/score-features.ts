/** `lfp score` through two models and a dictionary that someone else trained: which features are active in either. */
import type { PairDocumentToken, ScoredPairPassage } from "../lens/document.ts";
import type { ActiveFeature, FeatureReading } from "../lens/pair-features.ts";
import type { PairLens } from "../lens/pair-lens.ts";
import type { Passage } from "../lens/passages.ts";
import { siteNames } from "../models/sites.ts";
import type { DictionaryReference } from "../pipeline/finished/pair-dictionary.ts";
import { UsageError } from "./errors.ts";
import type { ScoreGiven } from "./score-options.ts";

/** A token with its features, and the strongest of them for tables. */
export interface FeatureToken extends PairDocumentToken {
  readonly features: readonly ActiveFeature[];
  /** `F43`; null where none is active. */
  readonly feature: string | null;
  readonly featureTuned: number | null;
  readonly featureBase: number | null;
}

export interface FeaturePassage extends ScoredPairPassage {
  readonly tokens: readonly FeatureToken[];
}

export const featureColumns = [
  "feature",
  "featureTuned",
  "featureBase",
] as const satisfies readonly (keyof FeatureToken)[];

/** The dictionary that the options name, if any. Throws `UsageError`. */
export function dictionaryOf({ options: { sae, layer, site } }: ScoreGiven): DictionaryReference | undefined {
  if (sae === undefined) return undefined;
  if (layer !== undefined && !/^\d{1,4}$/.test(layer))
    throw new UsageError(`--layer is ${JSON.stringify(layer)}; expected a layer's number`);
  const given = siteNames.find((name) => name === site);
  return { folder: sae, ...(layer === undefined ? {} : { layer: Number(layer) }), ...(given && { site: given }) };
}

/** The number of the feature that is asked for, such as F43 or L4/F43, in the pair's dictionary. Throws `UsageError`. */
export function askedFeature(name: string | undefined, { dictionary }: PairLens): number | undefined {
  if (name === undefined || dictionary === undefined) return undefined;
  const [, layer = `${dictionary.layer}`, feature] = /^(?:L(\d{1,4})\/)?F(\d{1,9})$/.exec(name) ?? [];
  if (feature === undefined || Number(layer) !== dictionary.layer || Number(feature) >= dictionary.features)
    throw new UsageError(
      `--feature is ${JSON.stringify(name)}; the dictionary is of layer ${dictionary.layer} and has the features F0 to F${dictionary.features - 1}`,
    );
  return Number(feature);
}

/** The features of a token; undefined without a dictionary. */
export function featuresAt(token: PairDocumentToken | FeatureToken): FeatureToken | undefined {
  return "features" in token ? token : undefined;
}

/** Means of a feature over all tokens read. */
export class FeatureMeans {
  readonly #sums: FeatureReading["sums"];
  #tokens = 0;

  constructor(features: number) {
    this.#sums = { tuned: new Float64Array(features), base: new Float64Array(features) };
  }

  add({ sums, tokens }: FeatureReading): void {
    this.#tokens += tokens;
    for (const side of ["tuned", "base"] as const)
      for (const [feature, sum] of sums[side].entries())
        this.#sums[side][feature] = (this.#sums[side][feature] ?? 0) + sum;
  }

  /** Those whose means differ most between the models, by the sign of tuned minus base. */
  extremes(most: number): { readonly raised: readonly ActiveFeature[]; readonly lowered: readonly ActiveFeature[] } {
    const { tuned, base } = this.#sums;
    const n = Math.max(1, this.#tokens);
    const all = Array.from(tuned, (sum, feature) => ({ feature, tuned: sum / n, base: (base[feature] ?? 0) / n }));
    const change = (one: ActiveFeature): number => one.tuned - one.base;
    const ranked = all.filter((one) => change(one) !== 0).sort((a, b) => change(b) - change(a));
    return {
      raised: ranked.filter((one) => change(one) > 0).slice(0, most),
      lowered: ranked
        .filter((one) => change(one) < 0)
        .slice(-most)
        .reverse(),
    };
  }
}

/** Adds the features of every passage to its tokens, and its sums to `means`. */
export async function* withFeatures(
  lens: PairLens,
  passages: readonly Passage[],
  scored: AsyncIterable<ScoredPairPassage>,
  {
    means,
    asked,
    signal,
  }: { readonly means: FeatureMeans; readonly asked: number | undefined; readonly signal: AbortSignal },
): AsyncGenerator<FeaturePassage> {
  let at = 0;
  for await (const passage of scored) {
    const { text = "" } = passages[at] ?? {};
    at += 1;
    const reading = passage.refused === undefined ? await lens.readFeatures(text, { asked, signal }) : undefined;
    if (reading !== undefined) means.add(reading);
    yield { ...passage, tokens: passage.tokens.map((token, index) => featured(token, reading?.active[index] ?? [])) };
  }
}

function featured(token: PairDocumentToken, features: readonly ActiveFeature[]): FeatureToken {
  const [first] = features;
  return {
    ...token,
    features,
    feature: first === undefined ? null : `F${first.feature}`,
    featureTuned: first?.tuned ?? null,
    featureBase: first?.base ?? null,
  };
}

/** The features that tuning changed most, one line for each direction. */
export function featureLines({ raised, lowered }: ReturnType<FeatureMeans["extremes"]>): string[] {
  const line = (what: string, features: readonly ActiveFeature[]): string[] =>
    features.length === 0
      ? []
      : [
          `${what}: ${features.map(({ feature, tuned, base }) => `F${feature} ${base.toFixed(3)} to ${tuned.toFixed(3)}`).join(", ")}`,
        ];
  return [
    ...line("features that are stronger in the tuned model (means a token, base to tuned)", raised),
    ...line("features that are weaker in the tuned model", lowered),
  ];
}
