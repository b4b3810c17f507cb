/** What CONTRIBUTING.md says of adding an executor: its record, and its file. */
import { z } from "zod";
import type { Executor, JobState } from "../../../server/runs/executor.ts";
import type { RunOutcome } from "../../../server/runs/run.ts";

export const ToyJob = z.object({
  executor: z.literal("toy"),
  argv: z.array(z.string()),
  submittedAt: z.string(),
  id: z.int(),
});

interface Job {
  state: JobState;
  readonly stop: AbortController;
  outcome: Promise<RunOutcome> | undefined;
}

/** All jobs in the order of their start; while it is down, it does not answer. */
export const cluster: { readonly jobs: Job[]; isDown: boolean } = { jobs: [], isDown: false };

/** An executor whose jobs wait until a test gives them a node. */
export const toyExecutor: Executor<z.infer<typeof ToyJob>> = {
  async submit({ argv }) {
    const submittedAt = new Date().toISOString();
    const id = cluster.jobs.push({ state: "waiting", stop: new AbortController(), outcome: undefined }) - 1;
    return { executor: "toy", argv: [...argv], submittedAt, id };
  },
  async state(_folder, { id }) {
    if (cluster.isDown) throw new Error("the toy cluster does not answer");
    const state = cluster.jobs[id]?.state ?? "gone";
    if (state === "waiting") return { state, for: "a node of the toy cluster" };
    return state === "unknown" ? { state, why: "the toy cluster has lost it" } : { state };
  },
  async cancel(_folder, { id }) {
    const job = cluster.jobs[id];
    job?.stop.abort();
    await job?.outcome;
    if (job !== undefined) job.state = "gone";
  },
  process: () => undefined,
};
