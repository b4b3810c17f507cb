/**
 * Reads the implicit reward of texts in a run's tuned model, token by token, in the same way as when the run's probe
 * was fitted. Letters as in subject.ts.
 */
import { characterGroups } from "../models/tokenizer.ts";
import { type AblationSet, type FeatureId, featureId, parseFeatureId } from "../protocol/ablation.ts";
import type { RunInfo } from "../protocol/lens-state.ts";
import type { ScoredToken } from "../rewards/word-ratings.ts";
import type { MessageWriter } from "../tasks/pairs/messages.ts";
import type { PairTexts } from "../tasks/pairs/pair-texts.ts";
import { type ResolvedAblation, resolveAblation } from "./ablation.ts";
import { columnsOf, type FeatureColumns, scaledProbe } from "./columns.ts";
import { type ComparedCompletions, type CompletionRequest, compareCompletions } from "./completions.ts";
import { LensMissingError } from "./errors.ts";
import { lensModel } from "./export.ts";
import { familiarityOf } from "./familiarity.ts";
import { keyOf, LensHost } from "./host.ts";
import type { LensLexicon } from "./lexicon.ts";
import { defaults, type LensOptions, type ReadOptions } from "./options.ts";
import { type PairReader, preferenceKey } from "./pair-lens.ts";
import { PairPrograms } from "./pair-programs.ts";
import { bytesOfPairReading, type PairReading } from "./pair-reading.ts";
import type { PairSource, TextToRead } from "./pair-source.ts";
import { bytesOfPreference, type PreferenceReading } from "./preference-reading.ts";
import { LensPrograms, type ProgramsOptions, type WindowEdit, type WindowRequest } from "./programs.ts";
import {
  bytesOfReading,
  type DictionaryReading,
  type FittedExplanation,
  type Reading,
  type TokenExplanation,
} from "./reading.ts";
import { grouped, keepRows } from "./rows.ts";
import { fittedAt, spanParts, spanValue, split } from "./span-parts.ts";
import { SparseBuilder } from "./sparse.loops.ts";
import type { DictionaryKind, LensEvidence, LensSubject } from "./subject.ts";
import { trustIn } from "./trust.ts";
import { type FoldModel, foldsAt, scoresByFold } from "./unseen.ts";
import { filledWindows, windowedText } from "./windows.ts";
import { wordRewards } from "./word-rewards.ts";
import type { TokenSpan } from "./words.ts";

/** Programs that read features, and programs that read both models' predictions. */
interface RunPrograms {
  readonly features: LensPrograms;
  readonly pair: PairPrograms;
  dispose(): Promise<void>;
}

type AnyReading = DictionaryReading | Reading | PairReading | PreferenceReading;

/** Reads texts through one run, given as a `LensSubject`. */
export class Lens implements PairReader {
  readonly evidence: LensEvidence;
  /** The probe's weights by column and its intercept, with its output scale folded in. */
  readonly weights: Float64Array;
  readonly intercept: number;
  /** Columns of `Reading.features`. */
  readonly columns: FeatureColumns;
  readonly #window: number;
  readonly #host: LensHost<LensSubject, RunPrograms, AnyReading>;

  constructor(subject: LensSubject, options: LensOptions<RunInfo> = {}) {
    const { windowTokens, cacheBytes, programBytes: maxBytes, copiesWeights } = { ...defaults, ...options };
    this.evidence = subject.evidence;
    this.#window = Math.min(windowTokens, subject.tuned.config.contextLength);
    this.#host = new LensHost(subject, {
      programsOf: (own) =>
        runPrograms(own, { window: this.#window, before: own.prefixIds.length, maxBytes, copiesWeights }),
      cacheBytes,
      onMoved: ({ info }) => options.onFallback?.(info),
    });
    this.columns = columnsOf(subject.probe.layers);
    ({ weights: this.weights, intercept: this.intercept } = scaledProbe(subject.probe));
  }

  get #subject(): LensSubject {
    return this.#host.subject;
  }

  get info(): RunInfo {
    return this.#subject.info;
  }

  /**
   * Reads a passage in the tuned model, or in the base model with the tuned one's dictionaries and probe. Throws the
   * tokenizer's errors, `AblationError`, and `LensMissingError` if the base model is missing.
   */
  async read(
    text: string,
    { model = "tuned", ablation, signal, templated = false }: ReadOptions & { readonly model?: "tuned" | "base" } = {},
  ): Promise<Reading> {
    const resolved = model === "base" ? undefined : await this.#resolve(ablation);
    const key = keyOf(["read", model, String(templated), resolved?.key ?? ""], text);
    return await this.#host.cached(key, readings, signal, async (stop) => {
      const small = await this.#subject.dictionaries({ model: "tuned", size: "small" });
      const raw = await this.#readWindows(
        { text, templated },
        { model, read: small, columns: this.columns, name: "small", ablation: resolved },
        stop,
      );
      return await this.#scored(text, raw, model, stop);
    });
  }

  /**
   * Features of any dictionary of the run: the tuned model's dictionaries read the tuned model, the base model's
   * read the base model.
   */
  async readDictionary(text: string, kind: DictionaryKind, options: ReadOptions = {}): Promise<DictionaryReading> {
    const { ablation, signal, templated = false } = options;
    const resolved = kind.model === "base" ? undefined : await this.#resolve(ablation);
    if (kind.model === "tuned" && kind.size === "small") return await this.read(text, options);
    const key = keyOf(["dictionary", kind.model, kind.size, String(templated), resolved?.key ?? ""], text);
    return await this.#host.cached(key, dictionaryReadings, signal, async (stop) => {
      const read = await this.#subject.dictionaries(kind);
      const columns = await this.columnsOf(kind);
      return await this.#readWindows(
        { text, templated },
        { model: kind.model, read, columns, name: `${kind.model} ${kind.size}`, ablation: resolved },
        stop,
      );
    });
  }

  /**
   * Compares the predictions of the tuned and the base model. Throws `AblationError`, and `LensMissingError` if the
   * base model is missing.
   */
  async readPair(text: string, { ablation, signal, templated = false }: ReadOptions = {}): Promise<PairReading> {
    const resolved = await this.#resolve(ablation);
    const key = keyOf(["pair", String(templated), resolved?.key ?? ""], text);
    return await this.#host.cached(key, pairReadings, signal, async (stop) => {
      const edit = await this.#editOf(resolved);
      return await this.#host.programs.pair.read(await this.#pairSource(), { text, templated }, edit, stop);
    });
  }

  /** Both answers of a pair, each given its prompt. Throws what `readPair` throws. */
  async readPreference(texts: PairTexts, { ablation, signal }: ReadOptions = {}): Promise<PreferenceReading> {
    const resolved = await this.#resolve(ablation);
    const key = keyOf(["preference", resolved?.key ?? ""], preferenceKey(texts));
    return await this.#host.cached(key, preferenceReadings, signal, async (stop) => {
      const [source, edit] = [await this.#pairSource(), await this.#editOf(resolved)];
      return await this.#host.programs.pair.readPreference(source, texts, this.#subject.preferences.rule, edit, stop);
    });
  }

  get template(): MessageWriter | undefined {
    return this.#subject.preferences.template;
  }

  /** Columns of `readDictionary` of the same kind. */
  async columnsOf(kind: DictionaryKind): Promise<FeatureColumns> {
    if (kind.model === "tuned" && kind.size === "small") return this.columns;
    let end = 0;
    const dictionaries = await this.#host.surviving(() => this.#subject.dictionaries(kind));
    const layers = [...dictionaries].map(([layer, { features }]) => {
      const start = end;
      end += features;
      return { layer, start, end };
    });
    return columnsOf(layers);
  }

  /** One feature's activation at every token. Throws `LensMissingError` for a feature that the run does not have. */
  async readFeature(
    text: string,
    id: FeatureId,
    options: ReadOptions = {},
  ): Promise<DictionaryReading & { readonly column: number }> {
    const place = parseFeatureId(id);
    const column = place === undefined ? undefined : (await this.columnsOf(place)).columnOf(place.layer, place.feature);
    if (place === undefined || column === undefined)
      throw new LensMissingError(`the run has no feature ${id}; its layers are ${this.info.layers.join(", ")}`);
    const { starts, ends, features } = await this.readDictionary(text, place, options);
    return { starts, ends, features, column };
  }

  /** Words of a text that the feedback rates, in order; empty if it rates no words. */
  ratings(text: string): readonly ScoredToken[] {
    return this.#subject.ratings?.rated(text) ?? [];
  }

  /** How tuning changed the predictions of rated words over the run's texts; undefined if the run has no lexicon. */
  get lexicon(): LensLexicon | undefined {
    return this.#subject.lexicon;
  }

  /** The feature behind a column of `Reading.features`. */
  featureAt(column: number): FeatureId {
    return featureId({ model: "tuned", size: "small", ...this.columns.placeOf(column) });
  }

  /**
   * Explains the value of a word or token of `reading`, with its `most` largest contributions; `base` is the base
   * model's reading of the same text.
   */
  explain(text: string, reading: Reading, span: TokenSpan, most: number, base?: Reading): TokenExplanation {
    const { start, end, firstToken } = span;
    const { weights, intercept } = this.#modelAt(reading, firstToken);
    const parts = spanParts(reading, span, this.#subject.multiToken, weights);
    const { shown, rest } = split(parts, { most, featureAt: this.#featureAt });
    const implicit = this.implicitOf(reading, span);
    return {
      start,
      end,
      text: text.slice(start, end),
      implicit,
      trueReward: reading.trueReward[firstToken] ?? null,
      familiarity: this.familiarityOf(reading, span),
      base: base === undefined ? null : this.implicitOf(base, span),
      intercept,
      contributions: shown,
      rest,
      trust: trustIn(this.evidence, { word: text.slice(start, end).trim().toLowerCase(), implicit }),
    };
  }

  /** The probe's output for a word or token. */
  implicitOf({ outputs }: Pick<Reading, "outputs">, span: TokenSpan): number {
    return this.#limited(spanValue(outputs, span, this.#subject.multiToken));
  }

  /**
   * Leverage of a word or token divided by the limit; null if unknown. A word's is not smaller than that of the mean
   * of its tokens' features.
   */
  familiarityOf({ familiarity }: Pick<Reading, "familiarity">, span: TokenSpan): number | null {
    return familiarity === undefined ? null : spanValue(familiarity, span, this.#subject.multiToken);
  }

  /** The fitted log-ratio at every token, in nats. Throws `LensMissingError` if the run fitted none. */
  fittedValues({ features, folds }: Pick<Reading, "features" | "folds">): Float64Array {
    const { fitted } = this.#subject;
    if (fitted === undefined) throw new LensMissingError("the run did not fit the log-ratio to its features");
    return scoresByFold(features, fitted, folds, fitted.wordFolds?.models);
  }

  /** The fitted log-ratio of a word, from `fittedValues`. */
  fittedOf(values: Float64Array, span: TokenSpan): number {
    return spanValue(values, span, this.#subject.multiToken);
  }

  /**
   * The fitted log-ratio of a word of `reading`, with its `most` largest contributions; null if the run fitted none.
   */
  explainFitted(reading: Reading, word: TokenSpan, most: number): FittedExplanation | null {
    const { fitted, multiToken } = this.#subject;
    const shown = { most, featureAt: this.#featureAt };
    return fitted === undefined ? null : fittedAt(reading, word, fitted, multiToken, shown);
  }

  /**
   * Compares the tuned model's completions with and without an ablation, from the same random numbers. Throws what
   * `compareCompletions` and `read` throw.
   */
  async compareCompletions(
    request: CompletionRequest,
    { ablation, signal }: ReadOptions = {},
  ): Promise<ComparedCompletions> {
    const resolved = await this.#resolve(ablation);
    return await this.#host.once(signal, async (stop) => {
      const edit = resolved === undefined ? undefined : { resolved, dictionaries: await this.#edited(resolved) };
      return await compareCompletions(this.#subject, edit, request, stop);
    });
  }

  /** The lens as one ONNX file; see `lensModel`. `tokens` is T, by default the window of this lens. */
  exportOnnx(tokens = this.#window): Promise<Uint8Array> {
    return this.#host.surviving(() =>
      lensModel(this.#subject, Math.min(tokens, this.#subject.tuned.config.contextLength)),
    );
  }

  /** Token ids that the model reads for a text, including the prefix. */
  tokenIds(text: string): Int32Array {
    const { tokenizer, prefixIds } = this.#subject;
    return Int32Array.from([...prefixIds, ...tokenizer.encode(text, { addSpecialTokens: false }).ids]);
  }

  /** Frees everything; reads in progress reject. */
  close(): Promise<void> {
    return this.#host.close();
  }

  /** The probe that gave a token's value. */
  #modelAt({ folds }: Pick<Reading, "folds">, token: number): FoldModel {
    return this.#subject.wordFolds?.models[folds[token] ?? -1] ?? this;
  }

  /** Clamps an output to the range of rewards, if the probe has an output scale. */
  #limited(output: number): number {
    const range = this.#subject.probe.outputScale?.to;
    return range === undefined ? output : Math.min(range.high, Math.max(range.low, output));
  }

  async #pairSource(): Promise<PairSource> {
    const { tuned, base: openBase, tokenizer, prefixIds } = this.#subject;
    const base = await openBase();
    return { pair: { tuned, base }, tokenizer, prefixIds, sharedTokens: base.config.vocabSize };
  }

  readonly #featureAt = (column: number): FeatureId => this.featureAt(column);

  #resolve(set: AblationSet | null | undefined): Promise<ResolvedAblation | undefined> {
    return this.#host.surviving(() => resolveAblation(set, this.#subject));
  }

  /** Reads tokens and their features, window by window; checks the signal before each. */
  async #readWindows({ text, templated }: TextToRead, plan: ReadPlan, signal: AbortSignal): Promise<DictionaryReading> {
    const { features } = this.#host.programs;
    const model = plan.model === "base" ? await this.#subject.base() : this.#subject.tuned;
    const edit = await this.#editOf(plan.ablation);
    const { ids, ranges, prefixIds } = windowedText(this.#subject, text, templated);
    const edits = edit === undefined ? "" : `edit${edit.dictionaries.small.size}/${edit.dictionaries.big.size}`;
    const name = `${plan.model} ${plan.name} ${edits}`;
    const rows = new SparseBuilder();
    for (const one of filledWindows(ids, { window: this.#window, prefixIds }, signal)) {
      const request: WindowRequest = { name, model, read: plan.read, edit, ids: one.ids };
      keepRows(rows, await features.run(request), one.row, one.ids.length, plan.columns);
    }
    return grouped(characterGroups(ranges), rows.finish());
  }

  async #editOf(ablation: ResolvedAblation | undefined): Promise<WindowEdit | undefined> {
    return ablation === undefined ? undefined : { dictionaries: await this.#edited(ablation), ablation };
  }

  async #edited({ small, big }: ResolvedAblation): Promise<WindowEdit["dictionaries"]> {
    const of = async (size: "small" | "big", changes: ReadonlyMap<number, unknown>) =>
      changes.size === 0 ? new Map() : await this.#subject.dictionaries({ model: "tuned", size });
    return { small: await of("small", small), big: await of("big", big) };
  }

  async #scored(text: string, raw: DictionaryReading, model: "tuned" | "base", signal: AbortSignal): Promise<Reading> {
    const { wordFolds, familiarity: known } = this.#subject;
    const ratings = this.ratings(text);
    const folds = foldsAt(raw, ratings, wordFolds);
    const outputs = scoresByFold(raw.features, this, folds, wordFolds?.models);
    const implicit = outputs.map((value) => this.#limited(value));
    const familiarity =
      known === undefined || model === "base" ? undefined : await familiarityOf(known, raw.features, signal);
    return { ...raw, implicit, outputs, folds, trueReward: wordRewards(raw, ratings), familiarity };
  }
}

interface ReadPlan {
  readonly model: "tuned" | "base";
  readonly name: string;
  readonly read: WindowRequest["read"];
  readonly columns: FeatureColumns;
  readonly ablation: ResolvedAblation | undefined;
}

function runPrograms(subject: LensSubject, options: ProgramsOptions): RunPrograms {
  const [features, pair] = [new LensPrograms(subject, options), new PairPrograms(subject.device, options)];
  return {
    features,
    pair,
    dispose: async () => {
      await Promise.all([features.dispose(), pair.dispose()]);
    },
  };
}

const readings = { is: (value: AnyReading): value is Reading => "implicit" in value, bytesOf: bytesOfReading };
const dictionaryReadings = {
  is: (value: AnyReading): value is DictionaryReading => "features" in value,
  bytesOf: bytesOfReading,
};
const pairReadings = {
  is: (value: AnyReading): value is PairReading => "learned" in value,
  bytesOf: bytesOfPairReading,
};
const preferenceReadings = {
  is: (value: AnyReading): value is PreferenceReading => "kind" in value,
  bytesOf: bytesOfPreference,
};
