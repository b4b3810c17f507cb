/**
 * Measures the effect of removing, scaling or replacing features of the tuned model on the task's reward, the loss and
 * the probe.
 */
import {
  AblationSetError,
  type Condition,
  changesOf,
  conditionsOf,
  type DictionaryFacts,
  energyOf,
  type ScaledFeature,
  tooFewToDraw,
} from "../../ablate/conditions.ts";
import { AblationEdit } from "../../ablate/edit.ts";
import { LossMeter } from "../../ablate/loss.ts";
import { type AblationResult, type Rewards, type Samples, summarise } from "../../ablate/result.ts";
import { Random } from "../../common/random.ts";
import { parseFeatureId } from "../../protocol/ablation.ts";
import { dictionaryName, idInDictionary } from "./dictionaries.ts";
import { Journal } from "./journal.ts";
import type { AblationSubject, EffectMeter } from "./subject.ts";

/**
 * `whole`: every control, the loss, the probe and the base model. `beside`: the set's reward and loss, and the reward
 * of random sets. `rewardAlone`: only the set's reward, from one completion per prompt.
 */
export type Extent = "whole" | "beside" | "rewardAlone";

export interface MeasureOptions {
  readonly features: readonly { readonly id: string; readonly factor: number }[];
  /** Random sets to compare with. */
  readonly draws: number;
  /** Completions of every prompt under the set itself; under a control it is one. */
  readonly completions: number;
  /** Seed of the completions: every condition uses the same random numbers. */
  readonly seed: number;
  /** Default `whole`. */
  readonly extent?: Extent;
  readonly signal?: AbortSignal;
  /** Awaited after each condition; throws to stop. */
  readonly onStep?: (done: number, total: number) => Promise<void> | void;
}

/** The measurements under a condition. */
interface Plan {
  readonly completions: readonly number[];
  readonly loss: boolean;
  readonly probe: boolean;
}

/**
 * Number of random sets for which the loss is measured and the probe is read too, each of which takes about as long as
 * the reward.
 */
const lossDraws = 10;
const probedDraws = 3;

/** Measures any number of ablations with programs that are compiled once. */
export class AblationBench {
  readonly #subject: AblationSubject;
  readonly #edit: AblationEdit;
  readonly #rewards: EffectMeter;
  readonly #loss: LossMeter;
  readonly #facts: ReadonlyMap<string, DictionaryFacts>;
  readonly #journal: Journal;
  /** Cache of the unchanged models' numbers, by measurement. */
  readonly #unchanged = new Map<string, readonly number[]>();

  private constructor(
    subject: AblationSubject,
    edit: AblationEdit,
    rewards: EffectMeter,
    loss: LossMeter,
    facts: ReadonlyMap<string, DictionaryFacts>,
    journal: Journal,
  ) {
    this.#subject = subject;
    this.#edit = edit;
    this.#rewards = rewards;
    this.#loss = loss;
    this.#facts = facts;
    this.#journal = journal;
  }

  /** Prepares measurements. With a journal of the same measurements on the same subject they resume where it ends. */
  static async open(subject: AblationSubject, journal = new Journal()): Promise<AblationBench> {
    const { device, model, dictionaries, texts, contextTokens } = subject;
    const edit = await AblationEdit.create(device, dictionaries);
    const rewards = await subject.meterOf(model, edit);
    const loss = await LossMeter.create({ device, model, dictionaries, edit, texts, tokens: contextTokens });
    const facts = await loss.facts(journal.facts, journal.gathered);
    return new AblationBench(subject, edit, rewards, loss, facts, journal);
  }

  /** Measures one ablation. Throws `AblationSetError`. */
  async measure(options: MeasureOptions): Promise<AblationResult> {
    const { features, draws, seed, extent = "whole", onStep } = options;
    const set = features.map(({ id, factor }) => this.#scaled(id, factor));
    const all = conditionsOf(set, this.#facts, {
      draws: extent === "rewardAlone" ? 0 : draws,
      random: Random.fromSeed(seed).fork("controls"),
    });
    const conditions = all.filter(({ kind }) => extent === "whole" || (kind !== "mean" && kind !== "reconstruction"));
    const total = conditions.length + Number(extent === "whole");
    const samples: Samples[] = [];
    for (const condition of conditions) {
      samples.push(await this.#sample(condition, planOf(condition, options), options));
      await onStep?.(samples.length, total);
    }
    const base = extent === "whole" ? await this.#inBase(set, options) : undefined;
    if (base !== undefined) await onStep?.(total, total);
    await this.#edit.set(new Map());
    const { effect } = this.#subject;
    const about = { features: [...features], seed, idOf: idInDictionary, ...(effect === undefined ? {} : { effect }) };
    const result = summarise(samples, base === undefined ? about : { ...about, base });
    const withoutRandom = extent !== "rewardAlone" && draws > 0 ? tooFewToDraw(set, this.#facts) : undefined;
    return withoutRandom === undefined ? result : { ...result, withoutRandom };
  }

  async dispose(): Promise<void> {
    await this.#rewards.dispose();
    await this.#loss.dispose();
    await this.#edit.dispose();
  }

  async #sample(condition: Condition, plan: Plan, options: MeasureOptions): Promise<Samples> {
    const { kind, features } = condition;
    await this.#edit.set(changesOf(condition, this.#facts));
    const known = (what: string, work: () => Promise<readonly number[]>): Promise<readonly number[]> =>
      kind === "none" ? this.#once(what, work) : work();
    const rewards = await this.#rewardsOf(this.#rewards, plan.completions, options, known);
    const { unit } = this.#journal;
    return {
      condition,
      rewards,
      losses: plan.loss ? await known("losses", () => this.#loss.losses(unit)) : [],
      separations: plan.probe ? await known("separations", () => this.#separations()) : [],
      energy: energyOf(features, this.#facts),
    };
  }

  /** The same set in the base model: completions of the same prompts, lengths and random numbers. */
  async #inBase(set: readonly ScaledFeature[], options: MeasureOptions): Promise<Record<"none" | "this", Rewards>> {
    const meter = await this.#subject.meterOf(this.#subject.base, this.#edit);
    const completions = Array.from({ length: options.completions }, (_, at) => at);
    await this.#edit.set(new Map());
    const none = await this.#rewardsOf(meter, completions, options, (what, work) => this.#once(`base ${what}`, work));
    await this.#edit.set(changesOf({ kind: "this", draw: null, features: set }, this.#facts));
    const changed = await this.#rewardsOf(meter, completions, options, (_, work) => work());
    await meter.dispose();
    return { none, this: changed };
  }

  async #rewardsOf(
    meter: EffectMeter,
    completions: readonly number[],
    { seed, signal }: MeasureOptions,
    known: (what: string, work: () => Promise<readonly number[]>) => Promise<readonly number[]>,
  ): Promise<Rewards> {
    const found: (readonly number[] | undefined)[] = [];
    const { unit } = this.#journal;
    for (const completion of completions)
      found[completion] = await known(`rewards ${seed} ${completion}`, () =>
        meter.values({ completion, seed, unit, signal }),
      );
    return Array.from(found);
  }

  async #once(what: string, work: () => Promise<readonly number[]>): Promise<readonly number[]> {
    const found = this.#unchanged.get(what) ?? (await work());
    this.#unchanged.set(what, found);
    return found;
  }

  async #separations(): Promise<number[]> {
    const { separations } = this.#subject;
    return separations === undefined ? [] : await this.#journal.unit(() => separations(this.#edit, this.#journal));
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

/**
 * What to measure under a condition. The set itself and the unchanged model get every completion, a control one: random
 * sets take turns, so that together they cover all completions.
 */
function planOf({ kind, draw }: Condition, { completions, extent = "whole" }: MeasureOptions): Plan {
  const all = Array.from({ length: completions }, (_, at) => at);
  const isWhole = extent === "whole";
  switch (kind) {
    case "none":
    case "this":
      return extent === "rewardAlone"
        ? { completions: [0], loss: false, probe: false }
        : { completions: all, loss: true, probe: isWhole };
    case "mean":
    case "reconstruction":
      return { completions: [0], loss: true, probe: true };
    case "random":
      return {
        completions: [((draw ?? 1) - 1) % completions],
        loss: isWhole && (draw ?? 1) <= lossDraws,
        probe: isWhole && (draw ?? 1) <= probedDraws,
      };
    default:
      kind satisfies never;
      throw new TypeError("unknown condition");
  }
}
