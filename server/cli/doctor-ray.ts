/** `lfp doctor --on ray`: whether runs can be submitted to the Ray cluster, and what is missing. */
import { LfpError } from "../common/errors.ts";
import { RayClient } from "../runs/ray/client.ts";
import { type Check, checkBy, checkedSettings, checkSharedFolder, checksResult } from "./cluster-checks.ts";
import type { CommandResult } from "./command.ts";

/** A job that no cluster has: whether it is known tells whether questions about jobs are answered. */
const NO_JOB = "lfp-doctor-no-such-job";

/** Looks at the settings, asks the cluster for its version and after a job; submits nothing. */
export async function doctorRay(env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const checks: Check[] = [];
  const settings = await checkedSettings("ray", env, checks);
  if (settings !== undefined) {
    const client = new RayClient(settings.address, env);
    const cluster = await checkBy(
      "cluster",
      LfpError,
      async () => `${settings.address}, Ray ${await client.version()}`,
    );
    checks.push(cluster);
    if (cluster.ok)
      checks.push(
        await checkBy("jobs", LfpError, async () => {
          await client.job(NO_JOB);
          return "the Jobs API answers";
        }),
      );
    if (settings.sharedFolder !== undefined) checks.push(await checkSharedFolder(settings.sharedFolder));
  }
  return checksResult("ray", env, checks);
}
