/**
 * The finished part of a measurement. A measurement is a fixed sequence of units of work that give plain numbers, done in
 * any order; a measurement that resumes with the journal of an interrupted one takes the numbers from it instead of
 * recomputing them.
 */
import { z } from "zod";
import type { GatheredFacts } from "../../ablate/loss.ts";
import { invariant } from "../../common/errors.ts";
import type { InTurn } from "../../common/side-by-side.ts";
import type { FeatureCollection } from "../../probe/collect.ts";

const journalState = z.object({
  /** Passes over the texts, for the facts about dictionaries. */
  factPasses: z.int(),
  /** The numbers of each unit, by its place in the sequence; null for one that was not done before a later one. */
  units: z.array(z.array(z.number()).nullable()),
  /** Batches of triples done in a unit that is not done. */
  batches: z.int(),
  /** That unit; in older checkpoints the one after those done. */
  collecting: z.int().optional(),
});

/** A journal in a checkpoint. */
export interface SavedJournal {
  /** Plain data. */
  readonly state: unknown;
  readonly doubles: Readonly<Record<string, Float64Array>>;
  readonly floats: Readonly<Record<string, Float32Array>>;
}

/** Called after each piece of work; throws to stop. */
export type OnPiece = (capture: () => SavedJournal) => Promise<void>;

/** A unit of which some batches of triples are done. */
interface Collected {
  readonly unit: number;
  readonly batches: number;
  readonly rows: SavedJournal["floats"];
}

export class Journal {
  readonly #onPiece: OnPiece;
  readonly #units: (number[] | null)[];
  #next = 0;
  #facts: GatheredFacts | undefined;
  #collected: Collected | undefined;

  constructor(onPiece: OnPiece = async () => undefined, saved?: SavedJournal) {
    this.#onPiece = onPiece;
    const none = { units: [], factPasses: 0, batches: 0 };
    const { units, factPasses, batches, collecting } = journalState.parse(saved?.state ?? none);
    this.#units = units;
    const numbers = saved?.doubles["facts"];
    if (numbers !== undefined) this.#facts = { passes: factPasses, numbers };
    if (saved !== undefined && batches > 0)
      this.#collected = { unit: collecting ?? units.length, batches, rows: saved.floats };
  }

  /** The facts gathered so far. */
  get facts(): GatheredFacts | undefined {
    return this.#facts;
  }

  readonly gathered = async (facts: GatheredFacts): Promise<void> => {
    this.#facts = facts;
    await this.#onPiece(() => this.#capture());
  };

  /** The place of the sequence's next unit. */
  nextUnit(): number {
    this.#next += 1;
    return this.#next - 1;
  }

  isDone(unit: number): boolean {
    return (this.#units[unit] ?? null) !== null;
  }

  /** The numbers of a unit that is done. */
  numbers(unit: number): readonly number[] {
    const found = this.#units[unit] ?? null;
    invariant(found !== null, `unit ${unit} of a measurement was not done`);
    return found;
  }

  /** Adds a unit's numbers. No other piece may be added meanwhile. */
  async add(unit: number, numbers: number[]): Promise<void> {
    while (this.#units.length < unit) this.#units.push(null);
    this.#units[unit] = numbers;
    if (this.#collected?.unit === unit) this.#collected = undefined;
    await this.#onPiece(() => this.#capture());
  }

  /**
   * Runs all batches of a collection, inside a unit; each batch is a piece of its own. Of units that collect at the same
   * time, only the first is saved before its end.
   */
  async collect(unit: number, collection: FeatureCollection<string>, inTurn: InTurn): Promise<void> {
    if (this.#collected?.unit === unit) collection.restore(this.#collected.batches, this.#collected.rows);
    while (await collection.step()) {
      await inTurn(() => {
        // A copy, as the next batch may be collected while a checkpoint is written for another unit.
        if (this.#collected === undefined || this.#collected.unit === unit)
          this.#collected = { unit, batches: collection.done, rows: structuredClone(collection.captured()) };
        return this.#onPiece(() => this.#capture());
      });
    }
  }

  #capture(): SavedJournal {
    const [facts, collected] = [this.#facts, this.#collected];
    return {
      state: {
        factPasses: facts?.passes ?? 0,
        units: [...this.#units],
        batches: collected?.batches ?? 0,
        ...(collected === undefined ? {} : { collecting: collected.unit }),
      } satisfies z.infer<typeof journalState>,
      doubles: facts === undefined ? {} : { facts: facts.numbers },
      floats: collected?.rows ?? {},
    };
  }
}
