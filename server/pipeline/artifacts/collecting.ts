/** Stages that collect numbers over texts, batch by batch, and resume from a checkpoint. */
import { z } from "zod";
import type { Checkpoint, StageContext } from "../../runs/stage.ts";
import { arrayFiles } from "./array-files.ts";

/** A collection in progress, such as a `FeatureCollection`. */
export interface Collecting<A extends Float32Array | Float64Array, Found> {
  readonly texts: number;
  readonly doneTexts: number;
  /** Batches done. */
  readonly done: number;
  step(): Promise<boolean>;
  /** Arrays by name, which go into a checkpoint together with `done`. */
  captured(): Readonly<Record<string, A>>;
  restore(done: number, captured: Readonly<Record<string, A>>): void;
  finish(): Promise<Found>;
}

const stateSchema = z.object({ done: z.int() });

/**
 * Runs a collection to its end, resuming from the stage's checkpoint if there is one. `read` reads the captured arrays
 * from it.
 */
export async function collectAll<A extends Float32Array | Float64Array, Found>(
  collection: Collecting<A, Found>,
  { resumed, progress, stepDone }: Pick<StageContext<unknown, never>, "resumed" | "progress" | "stepDone">,
  read: (checkpoint: Checkpoint) => Promise<Readonly<Record<string, NoInfer<A>>>>,
): Promise<Found> {
  if (resumed !== undefined) collection.restore(stateSchema.parse(resumed.state).done, await read(resumed));
  while (await collection.step()) {
    progress(collection.doneTexts, collection.texts, "texts");
    await stepDone(() => ({ state: { done: collection.done }, files: arrayFiles(collection.captured()) }));
  }
  return await collection.finish();
}
