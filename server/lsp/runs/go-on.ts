import { type JobRecord, jobNameOf } from "../../runs/job-record.ts";
import { JobThereError } from "../../runs/jobs.ts";
import { isOwnJob } from "../../runs/own-jobs.ts";
import { LockedError } from "../../runs/run-lock.ts";
import type { Session } from "../session.ts";
import { lfpProgram } from "./lfp-program.ts";

/**
 * Goes on with runs whose jobs ended before the runs did (saved before a time limit, preempted, a node lost) and that
 * the cluster does not start again, as `lfp run --on` does for the run that it follows. Each job is gone on with once,
 * however many servers and commands see its end: `submitRun` lets one of them.
 */
export class GoingOn {
  readonly #session: Session;
  readonly #onFailure: (error: unknown) => void;
  /** By the run and the name of its job that ended (tasks of an array share one); false where no further one could be submitted. */
  readonly #jobs = new Map<string, boolean>();

  constructor(session: Session, onFailure: (error: unknown) => void) {
    this.#session = session;
    this.#onFailure = onFailure;
  }

  /**
   * Whether a run goes on whose job ended for a passing reason; the first call for a job submits the next one. Only in
   * trusted workspaces, and only after jobs that this user submitted: another's run folder costs nobody else anything.
   */
  async goesOn(folder: string, job: JobRecord): Promise<boolean> {
    const name = jobNameOf(job);
    if (name === undefined || !this.#session.options.trusted || !(await isOwnJob(name))) return false;
    const key = `${folder}\0${name}`;
    if (!this.#jobs.has(key)) {
      this.#jobs.set(key, true);
      this.#submit(folder, job).catch((error: unknown) => {
        this.#jobs.set(key, false);
        this.#onFailure(error);
      });
    }
    return this.#jobs.get(key) === true;
  }

  async #submit(folder: string, { executor }: JobRecord): Promise<void> {
    const { continueRun } = await import("../../pipeline/continue-run.ts");
    try {
      // By the user's own settings and command line: those in the folder may be anybody's.
      await continueRun(folder, lfpProgram(), { on: executor, isAgain: true });
    } catch (error) {
      if (!(error instanceof JobThereError || error instanceof LockedError)) throw error;
    }
  }
}
