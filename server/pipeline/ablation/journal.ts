/**
 * The finished part of a measurement. A measurement is a fixed sequence of units of work that give plain numbers; a
 * measurement that resumes with the journal of an interrupted one takes the numbers from it instead of recomputing
 * them.
 */
import { z } from "zod";
import type { GatheredFacts, Unit } from "../../ablate/loss.ts";
import { invariant } from "../../common/errors.ts";
import type { FeatureCollection } from "../../probe/collect.ts";

const journalState = z.object({
  /** Passes over the texts, for the facts about dictionaries. */
  factPasses: z.int(),
  /** The numbers of each unit, in order. */
  units: z.array(z.array(z.number())),
  /** Batches of triples done, in the unit after those. */
  batches: z.int(),
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

export class Journal {
  readonly #onPiece: OnPiece;
  readonly #units: number[][] = [];
  readonly #known: number[][];
  #facts: GatheredFacts | undefined;
  #collecting: FeatureCollection<string> | undefined;
  #collected: { readonly batches: number; readonly rows: SavedJournal["floats"] } | undefined;

  constructor(onPiece: OnPiece = async () => undefined, saved?: SavedJournal) {
    this.#onPiece = onPiece;
    const { units, factPasses, batches } = journalState.parse(saved?.state ?? { units: [], factPasses: 0, batches: 0 });
    this.#known = units;
    const numbers = saved?.doubles["facts"];
    if (numbers !== undefined) this.#facts = { passes: factPasses, numbers };
    if (saved !== undefined && batches > 0) this.#collected = { batches, rows: saved.floats };
  }

  /** The facts gathered so far. */
  get facts(): GatheredFacts | undefined {
    return this.#facts;
  }

  readonly gathered = async (facts: GatheredFacts): Promise<void> => {
    this.#facts = facts;
    await this.#onPiece(() => this.#capture());
  };

  /** The numbers of the next unit of work; calls `work` only if the journal lacks them. */
  readonly unit: Unit = async (work) => {
    const known = this.#known.shift();
    const numbers = known ?? (await work());
    this.#units.push(numbers);
    if (known === undefined) await this.#onPiece(() => this.#capture());
    return numbers;
  };

  /** Runs all batches of a collection, inside a unit; each batch is a piece of its own. */
  async collect(collection: FeatureCollection<string>): Promise<void> {
    if (this.#collected !== undefined) collection.restore(this.#collected.batches, this.#collected.rows);
    this.#collected = undefined;
    this.#collecting = collection;
    while (await collection.step()) await this.#onPiece(() => this.#capture());
    this.#collecting = undefined;
  }

  #capture(): SavedJournal {
    invariant(this.#known.length === 0, "a measurement was saved before it had caught up with its journal");
    const facts = this.#facts;
    return {
      state: {
        factPasses: facts?.passes ?? 0,
        units: this.#units,
        batches: this.#collecting?.done ?? 0,
      } satisfies z.infer<typeof journalState>,
      doubles: facts === undefined ? {} : { facts: facts.numbers },
      floats: this.#collecting?.captured() ?? {},
    };
  }
}
