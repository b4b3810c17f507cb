/** What was measured of ablation sets. Stored in the workspace state, so that a reload of the window keeps it. */
import type * as vscode from "vscode";
import * as z from "zod";
import { switchedOn, type WrittenAblation } from "../../server/protocol/ablation.ts";
import type { AblationView } from "../../server/protocol/ablation-page.ts";
import { MeasuredEffect } from "../../server/protocol/features.ts";
import type { RunView } from "../../server/protocol/runs.ts";

const KEY = "lfpLens.measuredAblations";
/** Maximum number of measurements that are kept; the oldest are dropped first. */
const MOST = 50;

const Kept = z.array(
  z.object({
    /** Where a set is and which run it belongs to: JSON of its file's address, the run's folder, its dictionaries' digest. */
    place: z.string(),
    /** What was changed: JSON of the features with factors. */
    features: z.string(),
    effects: z.array(MeasuredEffect),
  }),
);

/** A set as its file has it now, and the run at hand that it belongs to. */
export interface PlacedSet {
  readonly uri: vscode.Uri;
  readonly set: WrittenAblation;
  readonly run: Pick<RunView, "folder" | "dictionaries">;
}

/** The measurements of this workspace's ablation sets, each of one file, run, and choice of factors. */
export class Measurements {
  readonly #memory: Pick<vscode.Memento, "get" | "update">;

  constructor(memory: Pick<vscode.Memento, "get" | "update">) {
    this.#memory = memory;
  }

  /**
   * The measurement of the set as it is, else the newest of the same file and run with other factors, which is not
   * current; null if there is neither.
   */
  of(placed: PlacedSet): AblationView["measured"] {
    const { place, features } = keysOf(placed);
    const own = this.#kept().filter((kept) => kept.place === place);
    const current = own.find((kept) => kept.features === features);
    const found = current ?? own.at(-1);
    return found === undefined ? null : { effects: found.effects, isCurrent: found === current };
  }

  async add(placed: PlacedSet, effects: readonly MeasuredEffect[]): Promise<void> {
    const { place, features } = keysOf(placed);
    const others = this.#kept().filter((kept) => kept.place !== place || kept.features !== features);
    await this.#memory.update(KEY, [...others, { place, features, effects }].slice(-MOST));
  }

  #kept(): z.infer<typeof Kept> {
    return Kept.catch([]).parse(this.#memory.get(KEY, []));
  }
}

/** The features whose activations a set changes. */
export function changedBy(set: WrittenAblation) {
  return switchedOn(set).features.filter(({ factor }) => factor !== 1);
}

function keysOf({ uri, set, run }: PlacedSet): { readonly place: string; readonly features: string } {
  return {
    place: JSON.stringify([uri.toString(), run.folder, run.dictionaries]),
    features: JSON.stringify(changedBy(set)),
  };
}
