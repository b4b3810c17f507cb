/** Shared by the commands about features: a run's store. */
import { resolve } from "node:path";
import { livingStore } from "../pipeline/finished/living-store.ts";
import { DamagedRowsError } from "../store/errors.ts";
import { FeatureStore } from "../store/store.ts";
import { existingRun } from "./status.ts";

/**
 * The feature store of a run, or the one in a file (`.sqlite`), which is opened read-only. Throws `NoRunError` and
 * `StoreError`.
 */
export async function openRunFeatures(run: string): Promise<FeatureStore> {
  if (isStoreFile(run)) return FeatureStore.openOutput(resolve(run));
  return FeatureStore.open(await livingStore(await existingRun(run)));
}

/** Notes that damaged rows were skipped, after the store was read. */
export function tellDamage({ damagedRows, path }: FeatureStore, note: (line: string) => void): void {
  if (damagedRows > 0) note(new DamagedRowsError(path, damagedRows).message);
}

/** Whether the argument is a feature store by itself, such as that of an earlier version of the bundled run. */
export function isStoreFile(run: string): boolean {
  return run.endsWith(".sqlite");
}
