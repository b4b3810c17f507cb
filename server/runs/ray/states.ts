/** Ray's states of jobs in our words. */
import { visibleLine } from "../../common/untrusted-text.ts";
import type { JobStanding } from "../executor.ts";
import type { RayJobInfo } from "./client.ts";

const states: Readonly<Record<string, (info: RayJobInfo) => JobStanding>> = {
  PENDING: ({ message }) => ({ state: "waiting", for: waitPhrase(message ?? "") }),
  RUNNING: () => ({ state: "working" }),
  STOPPED: () => ({ state: "gone", how: "stopped" }),
  SUCCEEDED: () => ({ state: "gone" }),
  FAILED: failure,
};

/** What a job's state means; states that a newer Ray may have are `unknown`. */
export function standingOf(info: RayJobInfo): JobStanding {
  const meaning = Object.hasOwn(states, info.status) ? states[info.status] : undefined;
  return meaning?.(info) ?? { state: "unknown", why: `its job is in the state ${visibleLine(info.status, 60)}` };
}

/** Why jobs end without fault of their own: another attempt may succeed. */
const passing: Readonly<Record<string, string>> = {
  JOB_SUPERVISOR_ACTOR_DIED: "the node of its job was lost",
  JOB_SUPERVISOR_ACTOR_START_TIMEOUT: "Ray found no place for its job in time",
  JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE: "Ray lost its job",
};

function failure({ error_type, driver_exit_code, message }: RayJobInfo): JobStanding {
  if (driver_exit_code === 75)
    return { state: "gone", why: "its job saved and ended before the run did", how: "passing" };
  const known = passing[error_type ?? ""];
  if (known !== undefined) return { state: "gone", why: known, how: "passing" };
  return { state: "gone", why: `Ray says: ${visibleLine(message ?? "its job failed", 300)}` };
}

/** Ray's reasons mention resources where the cluster is too small or busy. */
function waitPhrase(message: string): string {
  if (/resource/i.test(message)) return "a node of the Ray cluster with the resources that executors.json asks for";
  return "a node of the Ray cluster";
}
