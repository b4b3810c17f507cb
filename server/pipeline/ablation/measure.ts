/** Measures what removing, scaling or replacing features of the tuned model does to the task's reward, to the loss and to the probe. */
import {
  AblationSetError,
  type Condition,
  changesOf,
  conditionsOf,
  type DictionaryFacts,
  type ScaledFeature,
} from "../../ablate/conditions.ts";
import { type AblatedDictionary, AblationEdit } from "../../ablate/edit.ts";
import { LossMeter } from "../../ablate/loss.ts";
import { type AblationResult, type Samples, summarise } from "../../ablate/result.ts";
import { Random } from "../../common/random.ts";
import type { Device } from "../../engine/device.ts";
import { Generator } from "../../models/generate.ts";
import type { Model } from "../../models/model.ts";
import type { Tokenizer } from "../../models/tokenizer.ts";
import { FeatureCollection } from "../../probe/collect.ts";
import { takeRows } from "../../probe/features.ts";
import { type LinearProbe, probeRewards } from "../../probe/linear-probe.ts";
import { parseFeatureId } from "../../protocol/ablation.ts";
import type { RewardFunction } from "../../rewards/reward.ts";
import type { Triple } from "../../tasks/task.ts";
import type { PpoConfig } from "../../tuning/ppo-config.ts";
import { shapeOf } from "../../tuning/ppo-programs.ts";
import type { Prompt } from "../../tuning/prompts.ts";
import { decodeText, sampleRollouts, scoredText } from "../../tuning/rollout.ts";
import { dictionaryName, idInDictionary } from "./dictionaries.ts";
import { Journal } from "./journal.ts";

/** Everything of a run that an ablation is measured with. */
export interface AblationSubject {
  readonly device: Device;
  /** The tuned model. */
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** Of the tuned model, small and big; `name` is `L4@small`. */
  readonly dictionaries: readonly AblatedDictionary[];
  readonly reward: RewardFunction;
  readonly config: PpoConfig;
  /** Of texts that the tuning has not seen. */
  readonly prompts: readonly Prompt[];
  /** Token ids of such texts, for the loss. */
  readonly texts: readonly Int32Array[];
  readonly contextTokens: number;
  readonly probe: LinearProbe;
  /** That the probe was not fitted on. */
  readonly triples: readonly Triple[];
  readonly prefixIds: readonly number[];
}

export interface MeasureOptions {
  readonly features: readonly { readonly id: string; readonly factor: number }[];
  /** Random sets to compare with. */
  readonly draws: number;
  /** Prompts are completed from the same random numbers under every condition. */
  readonly seed: number;
  /** Only the set itself beside the unchanged model, and only the reward. */
  readonly bare?: boolean;
  readonly signal?: AbortSignal;
  /** Awaited after each condition; throws to stop. */
  readonly onStep?: (done: number, total: number) => Promise<void> | void;
}

/** Compiled once, for any number of ablations. */
export class AblationBench {
  readonly #subject: AblationSubject;
  readonly #edit: AblationEdit;
  readonly #generator: Generator;
  readonly #loss: LossMeter;
  readonly #facts: ReadonlyMap<string, DictionaryFacts>;
  readonly #journal: Journal;
  #base: Samples | undefined;

  private constructor(
    subject: AblationSubject,
    edit: AblationEdit,
    generator: Generator,
    loss: LossMeter,
    facts: ReadonlyMap<string, DictionaryFacts>,
    journal: Journal,
  ) {
    this.#subject = subject;
    this.#edit = edit;
    this.#generator = generator;
    this.#loss = loss;
    this.#facts = facts;
    this.#journal = journal;
  }

  /** A journal of the same measurements on the same subject lets them go on from where it ends. */
  static async open(subject: AblationSubject, journal = new Journal()): Promise<AblationBench> {
    const { device, model, dictionaries, config, tokenizer, texts, contextTokens } = subject;
    const edit = await AblationEdit.create(device, dictionaries);
    const { promptPlaces: promptTokens, completionPlaces: maxNewTokens } = shapeOf(config);
    const generator = await Generator.create(device, model, {
      batch: config.batchSize,
      promptTokens,
      maxNewTokens,
      tokenizer,
      frozen: true,
      stores: edit.frozenStores,
      liveStores: edit.liveStores,
      editMlpOutput: edit.mlpOutput,
    });
    const loss = await LossMeter.create({ device, model, dictionaries, edit, texts, tokens: contextTokens });
    const facts = await loss.facts(journal.facts, journal.gathered);
    return new AblationBench(subject, edit, generator, loss, facts, journal);
  }

  /** Throws `AblationSetError`. */
  async measure({ features, draws, seed, bare = false, signal, onStep }: MeasureOptions): Promise<AblationResult> {
    const set = features.map(({ id, factor }) => this.#scaled(id, factor));
    const all = conditionsOf(set, this.#facts, {
      draws: bare ? 0 : draws,
      random: Random.fromSeed(seed).fork("controls"),
    });
    const conditions = bare ? all.filter(({ kind }) => kind === "none" || kind === "this") : all;
    const samples: Samples[] = [];
    for (const [at, condition] of conditions.entries()) {
      const found =
        condition.kind === "none" && this.#base !== undefined
          ? this.#base
          : await this.#sample(condition, { seed, signal, bare });
      // What the unchanged model does is measured once, whole.
      if (condition.kind === "none" && !bare) this.#base = found;
      samples.push(bare ? { ...found, losses: [], separations: [] } : found);
      await onStep?.(at + 1, conditions.length);
    }
    await this.#edit.set(new Map());
    return summarise(samples, { features: [...features], seed }, idInDictionary);
  }

  async dispose(): Promise<void> {
    await this.#generator.dispose();
    await this.#loss.dispose();
    await this.#edit.dispose();
  }

  async #sample(
    condition: Condition,
    { seed, signal, bare }: { seed: number; signal: AbortSignal | undefined; bare: boolean },
  ): Promise<Samples> {
    await this.#edit.set(changesOf(condition, this.#facts));
    const rewards = await this.#rewards(Random.fromSeed(seed).fork("completions"), signal);
    if (bare) return { condition, rewards, losses: [], separations: [] };
    const losses = await this.#loss.losses(this.#journal.unit);
    return { condition, rewards, losses, separations: await this.#journal.unit(() => this.#separations()) };
  }

  /** Completions are sampled and scored exactly as in tuning. */
  async #rewards(random: Random, signal: AbortSignal | undefined): Promise<number[]> {
    const { prompts, config, tokenizer, reward } = this.#subject;
    const rewards: number[] = [];
    for (let start = 0; start < prompts.length; start += config.batchSize) {
      signal?.throwIfAborted();
      const batch = prompts.slice(start, start + config.batchSize);
      const stream = random.fork(`batch at ${start}`);
      rewards.push(
        ...(await this.#journal.unit(async () => {
          const rollouts = await sampleRollouts(this.#generator, batch, decodeText(tokenizer), config, stream);
          return rollouts.map((rollout) => reward.score(scoredText(rollout, config.rewardText)).reward);
        })),
      );
    }
    return rewards;
  }

  /** The probe's reading of the changed outputs: at the positive word of each triple minus at the negative one. */
  async #separations(): Promise<number[]> {
    const { device, model, tokenizer, probe, triples, prefixIds, dictionaries } = this.#subject;
    if (triples.length === 0) return [];
    const small = new Map(dictionaries.filter(({ name }) => name.endsWith("small")).map((one) => [one.layer, one]));
    const collection = new FeatureCollection(triples, {
      device,
      model,
      tokenizer,
      layers: probe.layers.map(({ layer }) => layer),
      encoders: {
        z: {
          stores: [...small.values()].map(({ store }) => store),
          encode: (layer, output) => {
            const dictionary = small.get(layer);
            if (dictionary === undefined)
              throw new TypeError(`the probe reads layer ${layer}, which has no dictionary`);
            return dictionary.encode(output);
          },
        },
      },
      prefixIds,
      edit: { stores: this.#edit.frozenStores, live: this.#edit.liveStores, mlpOutput: this.#edit.mlpOutput },
    });
    await this.#journal.collect(collection);
    const { z } = await collection.finish();
    const n = triples.length;
    const rowsFrom = (first: number) =>
      takeRows(
        z.rows,
        Int32Array.from({ length: n }, (_, at) => first + at),
      );
    const positive = probeRewards(probe, rowsFrom(0));
    const negative = probeRewards(probe, rowsFrom(n));
    return Array.from(positive, (value, at) => value - (negative[at] ?? 0));
  }

  #scaled(id: string, factor: number): ScaledFeature {
    const place = parseFeatureId(id);
    if (place === undefined) throw new AblationSetError(`${JSON.stringify(id.slice(0, 60))} names no feature`);
    if (place.model === "base")
      throw new AblationSetError(
        `${id} is a feature of the base model; ablations act on the tuned model, as L4/F43 does`,
      );
    const dictionary = dictionaryName(place);
    const known = this.#subject.dictionaries.find(({ name }) => name === dictionary);
    if (known === undefined) throw new AblationSetError(`${id}: the run has no such dictionary`);
    if (place.feature >= known.features)
      throw new AblationSetError(`${id}: the run has features 0 to ${known.features - 1} there`);
    return { dictionary, feature: place.feature, factor };
  }
}
