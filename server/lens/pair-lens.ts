/** Reads texts through two models of one tokenizer: how tuning changed the predictions. Needs no run. */
import type { Device } from "../engine/device.ts";
import type { PairInfo } from "../protocol/lens-state.ts";
import { type Hosted, keyOf, LensHost } from "./host.ts";
import { defaults, type LensOptions, type ReadOptions } from "./options.ts";
import { PairPrograms, type PairSource } from "./pair-programs.ts";
import { bytesOfPairReading, type PairReading } from "./pair-reading.ts";

/** Two models on a device. */
export interface PairSubject extends PairSource, Hosted<PairSubject> {
  readonly info: PairInfo;
  readonly device: Device;
}

/** Reads a text through two models: a pair, or a run with its base model. */
export interface PairReader {
  /** Throws the tokenizer's errors. */
  readPair(text: string, options?: ReadOptions): Promise<PairReading>;
}

/** Reads texts through a pair. Ignores ablation sets: it has no dictionaries. */
export class PairLens implements PairReader {
  readonly #host: LensHost<PairSubject, PairPrograms, PairReading>;

  constructor(subject: PairSubject, options: LensOptions<PairInfo> = {}) {
    const { windowTokens, cacheBytes, programBytes: maxBytes } = { ...defaults, ...options };
    const { tuned, base } = subject.pair;
    const window = Math.min(windowTokens, tuned.config.contextLength, base.config.contextLength);
    this.#host = new LensHost(subject, {
      programsOf: ({ device, prefixIds }) => new PairPrograms(device, { window, before: prefixIds.length, maxBytes }),
      cacheBytes,
      onMoved: ({ info }) => options.onFallback?.(info),
    });
  }

  get info(): PairInfo {
    return this.#host.subject.info;
  }

  readPair(text: string, { signal }: Pick<ReadOptions, "signal"> = {}): Promise<PairReading> {
    return this.#host.cached(keyOf([], text), pairReadings, signal, (stop) =>
      this.#host.programs.read(this.#host.subject, text, undefined, stop),
    );
  }

  /** Frees everything; reads in progress reject. */
  close(): Promise<void> {
    return this.#host.close();
  }
}

const pairReadings = { is: (_: PairReading): _ is PairReading => true, bytesOf: bytesOfPairReading };
