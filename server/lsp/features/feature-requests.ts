import { earlierStores } from "../../pipeline/finished/living-store.ts";
import type { FeatureId } from "../../protocol/ablation.ts";
import {
  AnnotateFeature,
  DescribeFeature,
  DescribeStore,
  type FeatureExample,
  FeatureNeighbours,
  LocateSource,
  QueryFeatures,
  TryFeature,
} from "../../protocol/features.ts";
import type { FeatureStore } from "../../store/store.ts";
import type { Dispatcher } from "../dispatch.ts";
import type { LensSession } from "../lens/lens-session.ts";
import type { Quarantine } from "../quarantine.ts";
import type { Session } from "../session.ts";
import type { FeatureStores } from "./feature-stores.ts";

export interface FeatureRequestsOptions {
  readonly session: Session;
  readonly stores: FeatureStores;
  readonly lenses: LensSession;
  readonly quarantine: Quarantine;
}

/** Serves the requests of pages about features. In Restricted Mode the server opens only the bundled run. */
export function serveFeatures(dispatcher: Dispatcher, options: FeatureRequestsOptions): void {
  const { session, stores } = options;
  const use = async <T>(runFolder: string, work: (store: FeatureStore) => T | Promise<T>): Promise<T> =>
    stores.use(await trustedRun(session, runFolder), work);

  dispatcher.request(DescribeStore, ({ runFolder }) =>
    use(runFolder, async (store) => ({ ...store.describe(), earlier: await earlierStores(store.path) })),
  );
  dispatcher.request(QueryFeatures, ({ runFolder, query, offset, count }) =>
    use(runFolder, (store) => store.query(query, { offset, count })),
  );
  dispatcher.request(FeatureNeighbours, ({ runFolder, query, id }) =>
    use(runFolder, (store) => store.neighbours(query, id)),
  );
  dispatcher.request(LocateSource, async ({ runFolder, source }) => {
    const { locateSource } = await import("../../pipeline/finished/locate-source.ts");
    return await locateSource(await trustedRun(session, runFolder), source);
  });
  dispatcher.request(DescribeFeature, ({ runFolder, id }) => use(runFolder, (store) => store.detail(id) ?? null));
  dispatcher.request(AnnotateFeature, ({ runFolder, id, ...annotation }) =>
    use(runFolder, (store) => store.annotate(id, annotation)),
  );
  dispatcher.request(TryFeature, async ({ runFolder, id, text }, { signal }) =>
    tryFeature(options, await trustedRun(session, runFolder), { id, text }, signal),
  );
}

/**
 * Checks that the run's folder may be opened, and returns it. Throws what `Session.checkRun` throws, and
 * `RestrictedModeError`.
 */
export async function trustedRun(session: Session, runFolder: string): Promise<string> {
  const folder = await session.checkRun(runFolder);
  if (!session.isOwnRun(folder)) session.requireTrust("Looking into a run of the workspace");
  return folder;
}

/** Reads a feature in a text. Uses the open lens if it is this run's; otherwise opens the run for this request. */
async function tryFeature(
  { lenses, quarantine }: FeatureRequestsOptions,
  folder: string,
  { id, text }: { readonly id: FeatureId; readonly text: string },
  signal: AbortSignal,
): Promise<FeatureExample> {
  const parts = ["try", folder, id, text];
  const { lens, done } = await lenses.borrow(folder, signal);
  try {
    const { starts, ends, features, column } = await quarantine.guard("This text", parts, () =>
      lens.readFeature(text, id, { signal }),
    );
    const { activationsOf } = await import("../../lens/reading.ts");
    const activations = [...activationsOf({ features }, column)];
    const peak = activations.reduce((best, value, at) => (value > (activations[best] ?? 0) ? at : best), 0);
    return { tokens: Array.from(starts, (start, at) => text.slice(start, ends[at])), activations, peak, source: "" };
  } finally {
    await done();
  }
}
