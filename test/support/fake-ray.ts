/** A fake of Ray's Jobs API whose jobs run as processes of this machine, for a file's tests. */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { z } from "zod";

const Submission = z.object({
  entrypoint: z.string(),
  submission_id: z.string(),
  metadata: z.object({ lfp: z.string() }),
  runtime_env: z.object({ env_vars: z.record(z.string(), z.string()) }),
});

interface Job {
  /** The name of its run. */
  readonly run: string;
  readonly process: ChildProcess;
  isLost: boolean;
}

/** Status and body of an answer. */
type Answer = readonly [number, string];

/** Starts a fake, and makes it the cluster of the user's settings, a file in this folder. */
export async function startFakeRay(folder: string): Promise<FakeRay> {
  const ray = new FakeRay();
  const address = await ray.listen();
  process.env["LFP_EXECUTORS"] = join(folder, "executors.json");
  await writeFile(process.env["LFP_EXECUTORS"], JSON.stringify({ ray: { address, stopSeconds: 20 } }));
  return ray;
}

export class FakeRay {
  /** The runs of all submissions, in order, those that were refused too. */
  readonly submissions: string[] = [];
  /** Runs whose jobs are refused. */
  readonly refused = new Set<string>();
  /** How many processes of jobs there were at a time, at most. */
  most = 0;
  #state: "up" | "down" = "up";
  readonly #jobs = new Map<string, Job>();
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #settingsBefore = process.env["LFP_EXECUTORS"];

  /** Begins to answer, at the address that it returns. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", () => resolve()));
    const place = this.#server.address();
    if (place === null || typeof place === "string") throw new TypeError("a server listens at a port");
    return `http://127.0.0.1:${place.port}`;
  }

  /** While it is down, it does not answer. */
  setDown(isDown: boolean): void {
    this.#state = isDown ? "down" : "up";
  }

  /** Ends the last job of a run as if its node were lost. */
  lose(run: string): void {
    const job = [...this.#jobs.values()].findLast((one) => one.run === run);
    if (job === undefined) throw new TypeError(`${run} has no job`);
    job.isLost = true;
    kill(job);
  }

  /** Forgets all jobs and ends them, as a cluster does whose head is started anew. */
  restart(): void {
    for (const job of this.#jobs.values()) kill(job);
    this.#jobs.clear();
  }

  async stop(): Promise<void> {
    this.restart();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    if (this.#settingsBefore === undefined) delete process.env["LFP_EXECUTORS"];
    else process.env["LFP_EXECUTORS"] = this.#settingsBefore;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    if (this.#state === "down") {
      request.socket.destroy();
      return;
    }
    const [status, said] = this.#answer(request, body);
    response.writeHead(status, { "content-type": "application/json" }).end(said);
  }

  #answer(request: IncomingMessage, body: string): Answer {
    const [, , , id = "", what] = request.url?.split("/") ?? [];
    if (request.method === "POST" && what === undefined) return this.#submit(body);
    const job = this.#jobs.get(id);
    if (job === undefined) return [404, `Job ${id} does not exist`];
    if (what !== "stop") return look(id, job);
    const stopped = isAtWork(job);
    if (stopped) process.kill(job.process.pid ?? 0, "SIGTERM");
    return [200, JSON.stringify({ stopped })];
  }

  #submit(body: string): Answer {
    const { entrypoint, submission_id: id, metadata, runtime_env } = Submission.parse(JSON.parse(body));
    this.submissions.push(metadata.lfp);
    if (this.refused.has(metadata.lfp)) return [400, "Traceback\nValueError: num_gpus may not be 9"];
    if (this.#jobs.has(id)) return [500, `Traceback\nRuntimeError: job ${id} already exists`];
    const env = { ...process.env, ...runtime_env.env_vars };
    const child = spawn("bash", ["-c", entrypoint], { env, stdio: "ignore", detached: true });
    this.#jobs.set(id, { run: metadata.lfp, process: child, isLost: false });
    this.most = Math.max(this.most, [...this.#jobs.values()].filter(isAtWork).length);
    return [200, JSON.stringify({ submission_id: id })];
  }
}

function isAtWork({ process: child }: Job): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function kill(job: Job): void {
  if (isAtWork(job) && job.process.pid !== undefined) process.kill(-job.process.pid, "SIGKILL");
}

function look(id: string, job: Job): Answer {
  const { exitCode } = job.process;
  if (job.isLost)
    return [200, JSON.stringify({ submission_id: id, status: "FAILED", error_type: "JOB_SUPERVISOR_ACTOR_DIED" })];
  const status = isAtWork(job) ? "RUNNING" : exitCode === 0 ? "SUCCEEDED" : "FAILED";
  return [200, JSON.stringify({ submission_id: id, status, driver_exit_code: exitCode, message: "" })];
}
