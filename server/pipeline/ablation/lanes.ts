/** Units of work of ablations, done by copies of the subject on several devices side by side. */
import { AblationEdit, type DictionaryChange } from "../../ablate/edit.ts";
import { LossMeter } from "../../ablate/loss.ts";
import { type InTurn, sideBySide } from "../../common/side-by-side.ts";
import type { Journal } from "./journal.ts";
import type { AblationSubject, EffectMeter } from "./subject.ts";

/** The dictionaries' changes, by name. */
export type Changes = ReadonlyMap<string, DictionaryChange>;

/** A copy of the subject with its compiled programs, which does one unit of work at a time. */
export class Lane {
  readonly subject: AblationSubject;
  readonly edit: AblationEdit;
  /** Measures the effect in the tuned model. */
  readonly tuned: EffectMeter;
  readonly loss: LossMeter;
  #base: EffectMeter | undefined;
  #set: Changes | undefined;

  private constructor(subject: AblationSubject, edit: AblationEdit, tuned: EffectMeter, loss: LossMeter) {
    this.subject = subject;
    this.edit = edit;
    this.tuned = tuned;
    this.loss = loss;
  }

  static async open(subject: AblationSubject): Promise<Lane> {
    const { device, model, dictionaries, texts, contextTokens: tokens } = subject;
    const edit = await AblationEdit.create(device, dictionaries);
    const tuned = await subject.meterOf(model, edit);
    const loss = await LossMeter.create({ device, model, dictionaries, edit, texts, tokens });
    return new Lane(subject, edit, tuned, loss);
  }

  /** Measures the effect in the base model; compiled at its first use. */
  async base(): Promise<EffectMeter> {
    const { subject, edit } = this;
    this.#base ??= await subject.meterOf(subject.base, edit);
    return this.#base;
  }

  async closeBase(): Promise<void> {
    await this.#base?.dispose();
    this.#base = undefined;
  }

  async setTo(changes: Changes): Promise<void> {
    if (this.#set === changes) return;
    this.#set = undefined;
    await this.edit.set(changes);
    this.#set = changes;
  }

  async dispose(): Promise<void> {
    await this.closeBase();
    await this.tuned.dispose();
    await this.loss.dispose();
    await this.edit.dispose();
  }
}

/** A unit of work that any lane can do. */
export interface UnitOfWork {
  /** Its place in the journal. */
  readonly unit: number;
  /** Indices of the prompts, pairs or texts that its numbers are of; undefined where it gives all there are. */
  readonly places: readonly number[] | undefined;
  measure(lane: Lane, how: { readonly signal: AbortSignal | undefined; readonly inTurn: InTurn }): Promise<number[]>;
}

/** Units that together give one number a prompt, pair, text or triple. */
export type Measurement = readonly UnitOfWork[];

/** Units that are measured under the same changes. */
export interface Group {
  readonly changes: Changes;
  readonly units: readonly UnitOfWork[];
}

export interface LaneOptions {
  readonly lanes: readonly Lane[];
  readonly journal: Journal;
  readonly signal: AbortSignal | undefined;
  /** Awaited with the number of groups that are done, when that grows; throws to stop. */
  readonly onDone: (groups: number) => Promise<void>;
}

/**
 * Does every unit that the journal lacks: each lane takes the next in order once it has done its last. Rejects with the
 * first failure, when no lane works any more.
 */
export async function doUnits(
  groups: readonly Group[],
  { lanes, journal, signal, onDone }: LaneOptions,
): Promise<void> {
  const left = groups.map(({ units }) => units.filter(({ unit }) => !journal.isDone(unit)).length);
  const done = (): number => left.filter((count) => count === 0).length;
  if (done() > 0) await onDone(done());
  const waiting = groups.flatMap(({ changes, units }, group) =>
    units.filter(({ unit }) => !journal.isDone(unit)).map((work) => ({ changes, work, group })),
  );
  const works = lanes.map((lane) => async (inTurn: InTurn) => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { changes, work, group } = next;
      signal?.throwIfAborted();
      await lane.setTo(changes);
      const numbers = await work.measure(lane, { signal, inTurn });
      await inTurn(async () => {
        await journal.add(work.unit, numbers);
        left[group] = (left[group] ?? 0) - 1;
        if (left[group] === 0) await onDone(done());
      });
    }
  });
  await sideBySide(works);
}

/** The numbers of a measurement whose units are done. */
export function numbersOf(measurement: Measurement, journal: Journal): number[] {
  const numbers: number[] = [];
  for (const { unit, places } of measurement) {
    const found = journal.numbers(unit);
    for (const [at, place] of (places ?? [...found.keys()]).entries()) numbers[place] = found[at] ?? Number.NaN;
  }
  return numbers;
}
