/** What two models have active of one dictionary's features at a passage's tokens. Letters: T tokens of a window, F features. */
import { invariant } from "../common/errors.ts";
import type { Device } from "../engine/device.ts";
import { type ModelPair, readableIds } from "../models/log-ratio.ts";
import { characterGroups } from "../models/tokenizer.ts";
import type { PairSource, TextToRead } from "./pair-source.ts";
import { LensPrograms, type ProgramsOptions } from "./programs.ts";
import type { LensDictionary } from "./subject.ts";
import { filledWindows, windowedText } from "./windows.ts";

/** A feature at a token in both models; the largest of the model's own tokens where several share characters. */
export interface ActiveFeature {
  readonly feature: number;
  readonly tuned: number;
  readonly base: number;
}

/** A text to read, and a feature that is kept of every token, however weak. */
export interface FeaturesToRead extends TextToRead {
  readonly asked: number | undefined;
}

/** Features of a passage's tokens; none at tokens that only one of the models has. */
export interface FeatureReading {
  /** By token, the strongest in either model first: the asked one alone, or the few that are strongest. */
  readonly active: readonly (readonly ActiveFeature[])[];
  /** Of each feature over the model's own tokens, [F]. */
  readonly sums: { readonly [K in keyof ModelPair]: Float64Array };
  /** The model's own tokens that the sums are over. */
  readonly tokens: number;
}

/** Features that are kept of a token. */
const kept = 5;
const sides = ["tuned", "base"] as const satisfies readonly (keyof ModelPair)[];

/** Reads passages window by window through one dictionary in both models. */
export class PairFeaturePrograms {
  readonly #programs: LensPrograms;
  readonly #window: number;

  constructor(device: Device, options: ProgramsOptions) {
    this.#programs = new LensPrograms({ device }, options);
    this.#window = options.window;
  }

  async read(
    source: PairSource,
    dictionary: LensDictionary,
    { text, templated, asked }: FeaturesToRead,
    signal: AbortSignal,
  ): Promise<FeatureReading> {
    const { pair, sharedTokens } = source;
    const F = dictionary.features;
    const { ids, ranges, prefixIds } = windowedText(source, text, templated);
    const sums = { tuned: new Float64Array(F), base: new Float64Array(F) };
    const own: ActiveFeature[][] = Array.from(ids, () => []);
    let tokens = 0;
    for (const window of filledWindows(ids, { window: this.#window, prefixIds }, signal)) {
      const rows = {
        tuned: await this.#run(pair, "tuned", dictionary, window.ids),
        base: await this.#run(pair, "base", dictionary, window.ids),
      };
      for (let row = window.row; row < window.ids.length; row++) {
        const token = window.token + row - window.row;
        if ((ids[token] ?? 0) >= sharedTokens) continue;
        const at = {
          tuned: rows.tuned.subarray(row * F, (row + 1) * F),
          base: rows.base.subarray(row * F, (row + 1) * F),
        };
        for (const side of sides) addTo(sums[side], at[side]);
        own[token] = asked === undefined ? strongest(at) : [featureAt(at, asked)];
        tokens += 1;
      }
    }
    return {
      active: characterGroups(ranges).map(({ firstToken, endToken }) => joined(own.slice(firstToken, endToken))),
      sums,
      tokens,
    };
  }

  dispose(): Promise<void> {
    return this.#programs.dispose();
  }

  /** Features [T, F]. */
  async #run(
    pair: ModelPair,
    side: keyof ModelPair,
    dictionary: LensDictionary,
    ids: Int32Array,
  ): Promise<Float32Array> {
    const { layer } = dictionary;
    const request = { name: side, model: pair[side], read: new Map([[layer, dictionary]]), edit: undefined };
    const features = (await this.#programs.run({ ...request, ids: readableIds(ids, pair[side]) })).get(layer);
    invariant(features !== undefined, `a window gave no features of layer ${layer}`);
    return features;
  }
}

type Row = { readonly [K in keyof ModelPair]: Float32Array };

function featureAt({ tuned, base }: Row, feature: number): ActiveFeature {
  return { feature, tuned: tuned[feature] ?? 0, base: base[feature] ?? 0 };
}

function addTo(sums: Float64Array, row: Float32Array): void {
  for (let feature = 0; feature < row.length; feature++) sums[feature] = (sums[feature] ?? 0) + (row[feature] ?? 0);
}

/** The features of one token [F] that are largest in either model. */
function strongest(row: Row): ActiveFeature[] {
  const { tuned, base } = row;
  const found: ActiveFeature[] = [];
  // Few of many thousands are active: no object is made of the others.
  let above = 0;
  for (let feature = 0; feature < tuned.length; feature++) {
    if (Math.max(tuned[feature] ?? 0, base[feature] ?? 0) <= above) continue;
    found.push(featureAt(row, feature));
    found.sort((a, b) => sizeOf(b) - sizeOf(a));
    found.length = Math.min(found.length, kept);
    above = found.length < kept ? 0 : sizeOf(found.at(-1));
  }
  return found;
}

/** The features of tokens that are read as one. */
function joined(tokens: readonly (readonly ActiveFeature[])[]): readonly ActiveFeature[] {
  if (tokens.length === 1) return tokens[0] ?? [];
  const largest = new Map<number, ActiveFeature>();
  for (const one of tokens.flat()) {
    const known = largest.get(one.feature);
    if (known === undefined || sizeOf(one) > sizeOf(known)) largest.set(one.feature, one);
  }
  return [...largest.values()].sort((a, b) => sizeOf(b) - sizeOf(a)).slice(0, kept);
}

function sizeOf(active: ActiveFeature | undefined): number {
  return active === undefined ? 0 : Math.max(active.tuned, active.base);
}
