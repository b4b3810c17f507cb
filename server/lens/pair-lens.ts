/** Reads texts through two models of one tokenizer: how tuning changed the predictions. Needs no run. */
import type { Device } from "../engine/device.ts";
import type { PairInfo } from "../protocol/lens-state.ts";
import type { MessageWriter } from "../tasks/pairs/messages.ts";
import type { PairTexts } from "../tasks/pairs/pair-texts.ts";
import { LensMissingError } from "./errors.ts";
import { type Hosted, keyOf, LensHost } from "./host.ts";
import { defaults, type LensOptions, type ReadOptions } from "./options.ts";
import { type FeatureReading, PairFeaturePrograms } from "./pair-features.ts";
import { PairPrograms } from "./pair-programs.ts";
import { bytesOfPairReading, type PairReading } from "./pair-reading.ts";
import type { PairSource } from "./pair-source.ts";
import type { PreferenceReader } from "./preference-reader.ts";
import { bytesOfPreference, type PreferenceReading } from "./preference-reading.ts";
import type { ProgramsOptions } from "./programs.ts";
import type { LensDictionary } from "./subject.ts";

/** Two models on a device. */
export interface PairSubject extends PairSource, Hosted<PairSubject> {
  readonly info: PairInfo;
  readonly device: Device;
  readonly preferences: PreferenceReader;
  /** A dictionary that both models are read through, if one was named. */
  readonly dictionary?: LensDictionary | undefined;
}

/** Reads a text through two models: a pair, or a run with its base model. */
export interface PairReader {
  /** Throws the tokenizer's errors. */
  readPair(text: string, options?: ReadOptions): Promise<PairReading>;
  /** Both answers of a pair, each given its prompt. Throws the tokenizer's errors. */
  readPreference(texts: PairTexts, options?: ReadOptions): Promise<PreferenceReading>;
  /** Writes messages as the model reads them; undefined for a model without a chat template. */
  readonly template: MessageWriter | undefined;
}

/** Reads texts through a pair. Ignores ablation sets: it has no dictionaries that were trained for it. */
export class PairLens implements PairReader {
  readonly #host: LensHost<PairSubject, Programs, PairReading | PreferenceReading>;

  constructor(subject: PairSubject, options: LensOptions<PairInfo> = {}) {
    const { windowTokens, cacheBytes, programBytes: maxBytes, copiesWeights } = { ...defaults, ...options };
    const { tuned, base } = subject.pair;
    const window = Math.min(windowTokens, tuned.config.contextLength, base.config.contextLength);
    this.#host = new LensHost(subject, {
      programsOf: ({ device, prefixIds }) =>
        programsOn(device, { window, before: prefixIds.length, maxBytes, copiesWeights }),
      cacheBytes,
      onMoved: ({ info }) => options.onFallback?.(info),
    });
  }

  get info(): PairInfo {
    return this.#host.subject.info;
  }

  readPair(text: string, { signal, templated = false }: Omit<ReadOptions, "ablation"> = {}): Promise<PairReading> {
    return this.#host.cached(keyOf(["pair", String(templated)], text), pairReadings, signal, (stop) =>
      this.#host.programs.pair.read(this.#host.subject, { text, templated }, undefined, stop),
    );
  }

  /** The features of the pair's dictionary in both models. Throws `LensMissingError` where it has none, and the tokenizer's errors. */
  readFeatures(
    text: string,
    { signal, templated = false, asked }: Omit<ReadOptions, "ablation"> & { readonly asked?: number | undefined } = {},
  ): Promise<FeatureReading> {
    return this.#host.once(signal, (stop) => {
      const { subject, programs } = this.#host;
      if (subject.dictionary === undefined)
        throw new LensMissingError("the two models were opened without a dictionary");
      return programs.features.read(subject, subject.dictionary, { text, templated, asked }, stop);
    });
  }

  /** The pair's dictionary; undefined without one. */
  get dictionary(): LensDictionary | undefined {
    return this.#host.subject.dictionary;
  }

  get template(): MessageWriter | undefined {
    return this.#host.subject.preferences.template;
  }

  readPreference(texts: PairTexts, { signal }: Pick<ReadOptions, "signal"> = {}): Promise<PreferenceReading> {
    const key = keyOf(["preference"], preferenceKey(texts));
    return this.#host.cached(key, preferenceReadings, signal, (stop) => {
      const { subject, programs } = this.#host;
      return programs.pair.readPreference(subject, texts, subject.preferences.rule, undefined, stop);
    });
  }

  /** Frees everything; reads in progress reject. */
  close(): Promise<void> {
    return this.#host.close();
  }
}

interface Programs {
  readonly pair: PairPrograms;
  readonly features: PairFeaturePrograms;
  dispose(): Promise<void>;
}

function programsOn(device: Device, options: ProgramsOptions): Programs {
  const [pair, features] = [new PairPrograms(device, options), new PairFeaturePrograms(device, options)];
  return {
    pair,
    features,
    dispose: async () => {
      await Promise.all([pair.dispose(), features.dispose()]);
    },
  };
}

/** Distinguishes pairs in cache keys. */
export function preferenceKey({ form, prompt, chosen, rejected }: PairTexts): string {
  return JSON.stringify([form, prompt, chosen, rejected]);
}

type AnyReading = PairReading | PreferenceReading;
const pairReadings = {
  is: (reading: AnyReading): reading is PairReading => "learned" in reading,
  bytesOf: bytesOfPairReading,
};
const preferenceReadings = {
  is: (reading: AnyReading): reading is PreferenceReading => "kind" in reading,
  bytesOf: bytesOfPreference,
};
