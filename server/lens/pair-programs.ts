/**
 * Runs two models over the same windows: the learned reward and the divergence of a passage's tokens. Letters as in
 * log-ratio.ts.
 */
import { invariant } from "../common/errors.ts";
import type { Device } from "../engine/device.ts";
import { LogRatioScorer, type LogRatios, type ModelPair, sharedVocabulary } from "../models/log-ratio.ts";
import {
  type AnswerRule,
  type AnswerTokens,
  answerLosses,
  answerTokens,
  type PairAnswerTokens,
} from "../tasks/pairs/answer-tokens.ts";
import type { PairTexts } from "../tasks/pairs/pair-texts.ts";
import { fedEdit } from "./graph.ts";
import { type PairReading, pairReadingOf } from "./pair-reading.ts";
import type { PairSource, TextToRead } from "./pair-source.ts";
import { type AnswerReading, answerReadingOf, type PreferenceReading } from "./preference-reading.ts";
import { bucketOf, heldBytes, ProgramCache, weightCopies } from "./program-cache.ts";
import { changesOf, type ProgramsOptions, type WindowEdit } from "./programs.ts";
import type { LensDictionary } from "./subject.ts";
import { filledWindows, windowedText } from "./windows.ts";

/** Programs that read one window of a pair, one for each length bucket. */
export class PairPrograms {
  readonly #device: Device;
  readonly #options: ProgramsOptions;
  readonly #scorers: ProgramCache<LogRatioScorer>;

  constructor(device: Device, options: ProgramsOptions) {
    this.#device = device;
    this.#options = options;
    this.#scorers = new ProgramCache(options.maxBytes);
  }

  /** Reads a passage window by window; checks the signal before each. `edit` acts on the tuned model. */
  async read(
    source: PairSource,
    { text, templated }: TextToRead,
    edit: WindowEdit | undefined,
    signal: AbortSignal,
  ): Promise<PairReading> {
    const { sharedTokens } = source;
    const { ids, ranges, prefixIds } = windowedText(source, text, templated);
    const logRatio = new Float64Array(ids.length).fill(Number.NaN);
    const kl = new Float64Array(ids.length).fill(Number.NaN);
    for (const one of filledWindows(ids, { window: this.#options.window, prefixIds }, signal)) {
      const read = await this.#run(source.pair, one.ids, edit, this.#options.window);
      for (let row = one.row; row < one.ids.length; row++) {
        const token = one.token + row - one.row;
        if ((ids[token] ?? 0) >= sharedTokens) continue;
        logRatio[token] = read.logRatio[row] ?? Number.NaN;
        kl[token] = read.kl?.[row] ?? Number.NaN;
      }
    }
    return pairReadingOf(ranges, { logRatio, kl });
  }

  /**
   * Reads both answers of a pair, each whole and given its prompt, whatever the window. Checks the signal before each.
   */
  async readPreference(
    source: PairSource,
    texts: PairTexts,
    rule: AnswerRule,
    edit: WindowEdit | undefined,
    signal: AbortSignal,
  ): Promise<PreferenceReading> {
    const found = answerTokens(texts, source.tokenizer, rule);
    if (found.kind === "lost") return { kind: "refused", why: whyLost(found, rule) };
    const read = async (answer: AnswerTokens): Promise<AnswerReading> => {
      signal.throwIfAborted();
      const values = await this.#run(source.pair, answer.ids, edit, rule.maxTokens);
      const isShared = (row: number): boolean => (answer.ids[row] ?? 0) < source.sharedTokens;
      const known = (of: Float32Array | undefined): Float64Array =>
        Float64Array.from(answer.ids, (_, row) => (isShared(row) ? (of?.[row] ?? Number.NaN) : Number.NaN));
      return answerReadingOf(answer, { logRatio: known(values.logRatio), kl: known(values.kl) });
    };
    return { kind: "read", chosen: await read(found.chosen), rejected: await read(found.rejected) };
  }

  dispose(): Promise<void> {
    return this.#scorers.dispose();
  }

  /** Runs the program for at most `window` ids that fits them. */
  async #run(pair: ModelPair, ids: Int32Array, edit: WindowEdit | undefined, window: number): Promise<LogRatios> {
    const copies = weightCopies(heldBytes(pair.tuned, "logits") + heldBytes(pair.base, "logits"), this.#options);
    const { frozen } = copies;
    const T = bucketOf(ids.length, { ...this.#options, window, ...copies });
    const { small, big } = edit?.dictionaries ?? noDictionaries;
    const edited =
      edit === undefined
        ? {}
        : {
            edit: {
              editActivations: fedEdit(edit.dictionaries).editActivations,
              stores: [...small.values(), ...big.values()].map(({ store }) => store),
            },
          };
    const recipe = {
      key: `${T} ${small.size}/${big.size}`,
      bytes: copies.bytes + logitArrays * 4 * T * sharedVocabulary(pair),
      compile: () => LogRatioScorer.create(this.#device, pair, { shape: [1, T], kl: true, frozen, ...edited }),
    };
    const [read] = await this.#scorers.use(recipe, (scorer) => scorer.score([ids], changesOf(edit)));
    invariant(read !== undefined, "a window was read and gave nothing");
    return read;
  }
}

function whyLost({ reason, promptTokens }: Lost, { maxTokens }: AnswerRule): string {
  return reason === "longPrompt"
    ? `its prompt has ${promptTokens} tokens, and ${maxTokens} are read of a prompt with its answer`
    : answerLosses[reason];
}

type Lost = Extract<PairAnswerTokens, { readonly kind: "lost" }>;

/** Number of arrays [T, V] that a program was measured to keep between its runs. */
const logitArrays = 3;

const noDictionaries = { small: new Map<number, LensDictionary>(), big: new Map<number, LensDictionary>() };
