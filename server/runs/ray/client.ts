/** Ray's Jobs API over HTTP: what is asked, and what may come back. */
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { LfpError, messageOf } from "../../common/errors.ts";
import { tryJson } from "../../common/json.ts";
import { readTextFile } from "../../common/text-file.ts";
import { visibleLine } from "../../common/untrusted-text.ts";
import { unlessMissing } from "../files.ts";

/** A Ray cluster did not answer as its Jobs API does. */
export class RayError extends LfpError {
  readonly code = "resource";
  /** The status of the answer; undefined where none came or it was none of the API's. */
  readonly status: number | undefined;

  constructor(address: string, what: string, status?: number) {
    super(`Ray at ${address} ${what}`);
    this.status = status;
  }
}

/** Jobs would be sent unprotected over a network: whoever reaches a Jobs API runs what they like on the cluster. */
export class UnprotectedRayError extends LfpError {
  readonly code = "usage";

  constructor(address: string) {
    super(
      `${address} is another machine, without encryption and without a token: anyone on the way could run programs there. Use https, a tunnel (ssh -L 8265:127.0.0.1:8265), ` +
        "or a token (RAY_AUTH_TOKEN, or ~/.ray/auth_token).",
    );
  }
}

/** What the API says of a job, as far as it is used. Ray adds members from version to version. */
export const RayJobInfo = z.object({
  submission_id: z.string().nullish(),
  status: z.string(),
  message: z.string().nullish(),
  error_type: z.string().nullish(),
  driver_exit_code: z.number().nullish(),
});
export type RayJobInfo = z.infer<typeof RayJobInfo>;

/** The body of a submission. */
export interface RaySubmission {
  readonly entrypoint: string;
  /** Ray refuses a second job with the same one. */
  readonly submission_id: string;
  readonly runtime_env: { readonly env_vars: Readonly<Record<string, string>> };
  readonly metadata: Readonly<Record<string, string>>;
  readonly entrypoint_num_cpus?: number;
  readonly entrypoint_num_gpus?: number;
  /** Bytes. */
  readonly entrypoint_memory?: number;
  readonly entrypoint_resources?: Readonly<Record<string, number>>;
}

/** The Jobs API at an address. Every method throws `RayError` and `UnprotectedRayError`. */
export class RayClient {
  readonly #address: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #timeoutMs: number;

  constructor(address: string, env: NodeJS.ProcessEnv = process.env, timeoutMs = TIMEOUT_MS) {
    this.#address = address.replace(/\/+$/, "");
    this.#env = env;
    this.#timeoutMs = timeoutMs;
  }

  /** The version of Ray. */
  async version(): Promise<string> {
    const { ray_version } = await this.#ask("GET", "/api/version", z.object({ ray_version: z.string() }));
    return ray_version;
  }

  async submit(submission: RaySubmission): Promise<void> {
    await this.#ask("POST", "/api/jobs/", z.object({}), submission);
  }

  /** A job; undefined where Ray does not know it. */
  async job(id: string): Promise<RayJobInfo | undefined> {
    try {
      return await this.#ask("GET", `/api/jobs/${id}`, RayJobInfo);
    } catch (error) {
      // A gateway's 404 is no word of Ray's, whose own names the job.
      if (error instanceof RayError && error.status === 404 && error.message.includes(id)) return undefined;
      throw error;
    }
  }

  /** Asks a job to stop; false where it has ended. */
  async stop(id: string): Promise<boolean> {
    const { stopped } = await this.#ask("POST", `/api/jobs/${id}/stop`, z.object({ stopped: z.boolean() }));
    return stopped;
  }

  async #ask<T>(method: "GET" | "POST", path: string, schema: z.ZodType<T>, body?: unknown): Promise<T> {
    const token = await rayToken(this.#env);
    refuseUnprotected(this.#address, token);
    const fail = (what: string, status?: number): never => {
      throw new RayError(this.#address, what, status);
    };
    const { status, text } = await exchange(new URL(`${this.#address}${path}`), {
      method,
      timeoutMs: this.#timeoutMs,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    }).catch((error: unknown) =>
      fail(error instanceof LateError ? error.message : `cannot be reached: ${messageOf(error)}`),
    );
    if (status === 401 || status === 403)
      return fail(`refuses access (${status}): give its token in RAY_AUTH_TOKEN or ~/.ray/auth_token`, status);
    if (status !== 200) return fail(`answered ${status}: ${visibleLine(lastLine(text), 300)}`, status);
    const parsed = schema.safeParse(tryJson(text));
    return parsed.success
      ? parsed.data
      : fail(
          `answered something that is not of its Jobs API: ${visibleLine(text, 100)}. Check \`address\` in executors.json`,
        );
  }
}

const TIMEOUT_MS = 30_000;
/** Many times the longest description of a job. */
const MOST_BYTES = 2 ** 22;

class LateError extends Error {}

interface Exchange {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly timeoutMs: number;
}

/**
 * A request and its whole answer. Not by `fetch`, whose header `Sec-Fetch-Mode` makes Ray refuse it as a browser's
 * (405). Follows no redirect.
 */
async function exchange(
  url: URL,
  { method, headers, body, timeoutMs }: Exchange,
): Promise<{ readonly status: number; readonly text: string }> {
  // An import of either loads Node's fetch and WebSocket too, tens of milliseconds for a language server that asks nobody.
  const { request } = url.protocol === "https:" ? await import("node:https") : await import("node:http");
  return await new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, agent: false }, (answer) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      answer.on("data", (part: Buffer) => {
        bytes += part.length;
        if (bytes > MOST_BYTES) asked.destroy(new TypeError(`its answer has more than ${MOST_BYTES} bytes`));
        parts.push(part);
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString("utf8") }));
      answer.on("error", reject);
    });
    // From the first byte of the request to the last of the answer, however slowly they come.
    const timer = setTimeout(
      () => asked.destroy(new LateError(`has not answered within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    asked.on("error", reject);
    asked.on("close", () => clearTimeout(timer));
    asked.end(body);
  });
}

/** The last line says what is wrong in answers that are a traceback of Python. */
function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}

/** The token where Ray's own tools look for it; undefined where there is none. */
async function rayToken(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const own = env["RAY_AUTH_TOKEN"]?.trim();
  if (own) return own;
  const path = env["RAY_AUTH_TOKEN_PATH"] || join(env["HOME"] ?? homedir(), ".ray", "auth_token");
  const text = (await unlessMissing(readTextFile(path, "record")))?.trim();
  return text === "" ? undefined : text;
}

function refuseUnprotected(address: string, token: string | undefined): void {
  const { protocol, hostname } = new URL(address);
  const isHere = hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
  if (protocol !== "https:" && !isHere && token === undefined) throw new UnprotectedRayError(address);
}
