/** Slurm's states of jobs, squeue(1), and what each means for a run. */
import type { JobStanding } from "../executor.ts";

type Meaning = (reason: string) => JobStanding;

const working: Meaning = () => ({ state: "working" });
const waiting =
  (what: string): Meaning =>
  () => ({ state: "waiting", for: what });
const passed =
  (why: string): Meaning =>
  () => ({ state: "gone", why, how: "passing" });
const ended =
  (why?: string): Meaning =>
  () => ({ state: "gone", ...(why === undefined ? {} : { why }) });
const open =
  (why: string): Meaning =>
  () => ({ state: "unknown", why });

const meanings: Readonly<Record<string, Meaning>> = {
  PENDING: (reason) => ({ state: "waiting", for: waitPhrase(reason) }),
  CONFIGURING: waiting("its node of the cluster to start"),
  REQUEUED: waiting("a node of the cluster, again"),
  REQUEUE_FED: waiting("a node of the cluster, again"),
  REQUEUE_HOLD: waiting("somebody to release its job (scontrol release)"),
  SPECIAL_EXIT: waiting("somebody to release its job (scontrol release)"),
  RESV_DEL_HOLD: waiting("somebody to release its job: its reservation was deleted"),
  RUNNING: working,
  COMPLETING: working,
  RESIZING: working,
  SIGNALING: working,
  STAGE_OUT: working,
  SUSPENDED: waiting("Slurm, which has suspended its job"),
  STOPPED: waiting("Slurm, which has stopped its job"),
  COMPLETED: ended(),
  CANCELLED: () => ({ state: "gone", how: "stopped" }),
  FAILED: ended("its job failed"),
  DEADLINE: ended("its job missed its deadline"),
  OUT_OF_MEMORY: ended("its job needed more memory than it was given: raise `memory` in executors.json"),
  TIMEOUT: passed(
    "its job reached its time limit before it had saved: raise `saveSeconds` or `time` in executors.json",
  ),
  // Slurm may start these again: they are over only once Slurm no longer lists them.
  NODE_FAIL: open("its node failed, and Slurm may start it again"),
  BOOT_FAIL: open("its node did not start, and Slurm may start it again"),
  PREEMPTED: open("its job was preempted, and Slurm may start it again"),
  REVOKED: open("another cluster of the federation has its job"),
};

/** What a state in `squeue` means; states that a newer Slurm may have are `unknown`. */
export function standingOf(state: string, reason: string): JobStanding {
  const meaning = Object.hasOwn(meanings, state) ? meanings[state] : undefined;
  return meaning?.(reason) ?? { state: "unknown", why: `its job is in the state ${state}` };
}

/**
 * What the last state in Slurm's accounts means for a job that `squeue` has not listed for long. One that is said to be
 * alive is unknown, unless `isLost`: after very long without it in `squeue` its end was never written.
 */
export function standingInAccounts(state: string | undefined, isLost: boolean): JobStanding {
  const lost = { state: "gone", why: "Slurm no longer knows its job", how: "passing" } as const;
  if (state === undefined) return lost;
  if (Object.hasOwn(passing, state)) return { state: "gone", why: passing[state], how: "passing" };
  const standing = standingOf(state, "");
  if (standing.state === "gone") return standing;
  return isLost ? lost : { state: "unknown", why: `Slurm's accounts have its job as ${state}, and its queue has not` };
}

/** Ends that pass, of a job that Slurm no longer lists. */
const passing: Readonly<Record<string, string>> = {
  PREEMPTED: "its job was preempted",
  NODE_FAIL: "its node failed",
  BOOT_FAIL: "its node did not start",
};

/** Reasons that say more than that the cluster is busy. */
const reasons: Readonly<Record<string, string>> = {
  BeginTime: "its next turn, which Slurm gives a restarted job after two minutes",
  JobArrayTaskLimit: "its turn: as many runs of its array work as may at a time",
  JobHeldUser: "somebody to release its job (scontrol release)",
  JobHeldAdmin: "the cluster's administrators to release its job",
  PartitionDown: "its partition of the cluster, which is down",
  PartitionTimeLimit: "a partition that allows its time limit: lower `time` in executors.json",
  PartitionNodeLimit: "a partition with enough nodes",
  ReqNodeNotAvail: "a node of the cluster that is not available now",
};

function waitPhrase(reason: string): string {
  const name = /^\w+/.exec(reason)?.[0] ?? "";
  if (Object.hasOwn(reasons, name)) return reasons[name] ?? "";
  if (name === "" || name === "None") return "a node of the cluster";
  return `a node of the cluster (${reason.slice(0, 100)})`;
}
