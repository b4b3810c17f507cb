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
import type { MeasuredPart } from "../../ablate/loss.ts";
import { type AblationResult, type Rewards, type Samples, summarise } from "../../ablate/result.ts";
import { invariant } from "../../common/errors.ts";
import { Random } from "../../common/random.ts";
import { parseFeatureId } from "../../protocol/ablation.ts";
import { dictionaryName, idInDictionary } from "./dictionaries.ts";
import { Journal } from "./journal.ts";
import { type Changes, doUnits, Lane, type Measurement, numbersOf, type UnitOfWork } from "./lanes.ts";
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

/** A condition with what is measured under it; the same measurement may stand under several. */
interface Planned {
  readonly condition: Condition;
  readonly changes: Changes;
  /** By completion. */
  readonly rewards: readonly (Measurement | undefined)[];
  readonly losses: Measurement;
  readonly separations: Measurement;
}

/** Returns what is to be measured, or what was planned for it before. */
type Once = (what: string, make: () => Measurement) => Measurement;

/** Measures any number of ablations, one after another, with programs that are compiled once. */
export class AblationBench {
  readonly #subject: AblationSubject;
  readonly #lanes: readonly Lane[];
  /** One of the lanes; all plan the same. */
  readonly #planner: Lane;
  readonly #facts: ReadonlyMap<string, DictionaryFacts>;
  readonly #journal: Journal;
  /** The unchanged models' measurements, which are made once. */
  readonly #unchanged = new Map<string, Measurement>();

  private constructor(
    lanes: readonly [Lane, ...Lane[]],
    facts: ReadonlyMap<string, DictionaryFacts>,
    journal: Journal,
  ) {
    this.#planner = lanes[0];
    this.#subject = lanes[0].subject;
    this.#lanes = lanes;
    this.#facts = facts;
    this.#journal = journal;
  }

  /**
   * Prepares measurements, by a subject's copies side by side. With a journal of the same measurements on the same subject
   * they resume where it ends.
   */
  static async open(
    [subject, ...copies]: readonly [AblationSubject, ...AblationSubject[]],
    journal = new Journal(),
  ): Promise<AblationBench> {
    const first = await Lane.open(subject);
    const facts = await first.loss.facts(journal.facts, journal.gathered);
    const others: Lane[] = [];
    for (const copy of copies) others.push(await Lane.open(copy));
    return new AblationBench([first, ...others], facts, journal);
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
    const planned = conditions.map((condition) => this.#planned(condition, planOf(condition, options), options));
    await this.#do(planned, options.signal, async (done) => onStep?.(done, total));
    const base = extent === "whole" ? await this.#inBase(set, options) : undefined;
    if (base !== undefined) await onStep?.(total, total);
    const { effect } = this.#subject;
    const about = { features: [...features], seed, idOf: idInDictionary, ...(effect === undefined ? {} : { effect }) };
    const samples = planned.map((one) => this.#samples(one));
    const result = summarise(samples, base === undefined ? about : { ...about, base });
    const withoutRandom = extent !== "rewardAlone" && draws > 0 ? tooFewToDraw(set, this.#facts) : undefined;
    return withoutRandom === undefined ? result : { ...result, withoutRandom };
  }

  async dispose(): Promise<void> {
    for (const lane of this.#lanes) await lane.dispose();
  }

  #planned(condition: Condition, plan: Plan, { seed }: MeasureOptions): Planned {
    const once: Once = condition.kind === "none" ? this.#once : (_, make) => make();
    return {
      condition,
      changes: changesOf(condition, this.#facts),
      rewards: this.#rewards(
        plan.completions,
        seed,
        { planner: this.#planner.tuned, of: async ({ tuned }) => tuned },
        once,
      ),
      losses: plan.loss ? once("losses", () => this.#units(this.#planner.loss.parts(), lossPart)) : [],
      separations: plan.probe ? once("separations", () => this.#separations()) : [],
    };
  }

  /** The same set in the base model: completions of the same prompts, lengths and random numbers. */
  async #inBase(set: readonly ScaledFeature[], options: MeasureOptions): Promise<Record<"none" | "this", Rewards>> {
    const completions = Array.from({ length: options.completions }, (_, at) => at);
    const meters: Meters = { planner: await this.#planner.base(), of: (lane) => lane.base() };
    const planned = (kind: "none" | "this", features: readonly ScaledFeature[], once: Once): Planned => {
      const condition = { kind, draw: null, features };
      const rewards = this.#rewards(completions, options.seed, meters, once);
      return { condition, changes: changesOf(condition, this.#facts), rewards, losses: [], separations: [] };
    };
    const none = planned("none", [], (what, make) => this.#once(`base ${what}`, make));
    const changed = planned("this", set, (_, make) => make());
    await this.#do([none, changed], options.signal, async () => undefined);
    for (const lane of this.#lanes) await lane.closeBase();
    return { none: this.#samples(none).rewards, this: this.#samples(changed).rewards };
  }

  #rewards(completions: readonly number[], seed: number, meters: Meters, once: Once): Planned["rewards"] {
    const planned: (Measurement | undefined)[] = [];
    for (const completion of completions) {
      const own = { completion, seed };
      const part: PartOf = async (lane, at) => (await meters.of(lane)).parts(own)[at];
      planned[completion] = once(`rewards ${seed} ${completion}`, () => this.#units(meters.planner.parts(own), part));
    }
    return Array.from(planned);
  }

  #units(parts: readonly MeasuredPart[], partOf: PartOf): Measurement {
    return parts.map(({ places }, at) => ({
      unit: this.#journal.nextUnit(),
      places,
      measure: async (lane, { signal }) => {
        const part = await partOf(lane, at);
        invariant(part !== undefined, `a copy of an ablation's subject has no part ${at} of a measurement`);
        return part.measure(signal);
      },
    }));
  }

  #separations(): Measurement {
    if (this.#subject.separations === undefined) return [];
    const unit = this.#journal.nextUnit();
    const measure: UnitOfWork["measure"] = async ({ subject: { separations }, edit }, { inTurn }) =>
      (await separations?.(edit, (collection) => this.#journal.collect(unit, collection, inTurn))) ?? [];
    return [{ unit, places: undefined, measure }];
  }

  readonly #once: Once = (what, make) => {
    const found = this.#unchanged.get(what) ?? make();
    this.#unchanged.set(what, found);
    return found;
  };

  async #do(
    planned: readonly Planned[],
    signal: AbortSignal | undefined,
    onDone: (groups: number) => Promise<void>,
  ): Promise<void> {
    const groups = planned.map(({ changes, rewards, losses, separations }) => ({
      changes,
      units: [...rewards.flatMap((one) => one ?? []), ...losses, ...separations],
    }));
    await doUnits(groups, { lanes: this.#lanes, journal: this.#journal, signal, onDone });
  }

  #samples({ condition, rewards, losses, separations }: Planned): Samples {
    const of = (measurement: Measurement): number[] => numbersOf(measurement, this.#journal);
    return {
      condition,
      rewards: rewards.map((one) => one && of(one)),
      losses: of(losses),
      separations: of(separations),
      energy: energyOf(condition.features, this.#facts),
    };
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

/** The lanes' meters of the effect in one of the models, and the one of them that says what the units are. */
interface Meters {
  readonly planner: EffectMeter;
  readonly of: (lane: Lane) => Promise<EffectMeter>;
}

/** Finds a part of a measurement in a lane. */
type PartOf = (lane: Lane, at: number) => Promise<MeasuredPart | undefined>;

const lossPart: PartOf = async ({ loss }, at) => loss.parts()[at];

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
