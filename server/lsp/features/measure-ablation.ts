import { MeasureAblation } from "../../protocol/features.ts";
import { JobProgress } from "../../protocol/job-progress.ts";
import type { Dispatcher } from "../dispatch.ts";
import type { LensSession } from "../lens/lens-session.ts";
import type { FeatureJobsOptions } from "./feature-jobs.ts";
import { trustedRun } from "./feature-requests.ts";

/**
 * Number of random feature sets as controls of an ablation; fewer than for `lfp ablate`, because a person is waiting.
 */
const draws = 3;

export interface MeasureAblationOptions extends FeatureJobsOptions {
  readonly lenses: Pick<LensSession, "guardRun">;
}

/**
 * Serves measurements of ablations, on a separate device, so that reading continues meanwhile. Saves the results in the
 * store.
 */
export function serveMeasureAblation(
  dispatcher: Dispatcher,
  { session, stores, lenses, tell }: MeasureAblationOptions,
): void {
  dispatcher.request(MeasureAblation, async ({ runFolder, features, prompts, seed, job }, { signal }) => {
    const folder = await trustedRun(session, runFolder);
    return stores.use(folder, async (store) => {
      for (const { id } of features) store.need(id);
      const { ablateRun } = await import("../../pipeline/finished/ablate-run.ts");
      const { rewardChanges } = await import("../../pipeline/ablation/effects.ts");
      const { openDevice } = await import("../../pipeline/devices.ts");
      const { device: wish, threads } = session.settings;
      const device = await openDevice({ device: wish, threads });
      try {
        const settings = { folder, device, store, features, prompts, draws, completions: 1, seed, signal };
        const onStep = (done: number, total: number): void =>
          tell(JobProgress, { job, done, total, message: `${done} of ${total} steps` });
        const guardOpening = <T>(open: () => Promise<T>): Promise<T> => lenses.guardRun(folder, open);
        return { ablations: rewardChanges(await ablateRun({ ...settings, guardOpening, onStep })) };
      } finally {
        await device.close();
      }
    });
  });
}
