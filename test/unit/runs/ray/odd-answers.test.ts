/** What a Ray that answers oddly, late or not at all makes of a run. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { doctorRay } from "../../../../server/cli/doctor-ray.ts";
import { readPlace } from "../../../../server/runs/executor-settings.ts";
import { notePaths } from "../../../../server/runs/job-notes.ts";
import { cancelRun, submitRun } from "../../../../server/runs/jobs.ts";
import { thisProcess } from "../../../../server/runs/process-identity.ts";
import { RayClient } from "../../../../server/runs/ray/client.ts";
import { submissionOf } from "../../../../server/runs/ray/executor.ts";
import { RaySettings } from "../../../../server/runs/ray/settings.ts";
import { prepareRun, runPaths } from "../../../../server/runs/run-folder.ts";
import { runStatus } from "../../../../server/runs/run-status.ts";
import { lockElsewhere } from "../lock-elsewhere.ts";
import { PATIENT, scratchFolder } from "../scratch.ts";

vi.mock("../../../../server/runs/executors.ts", async () => {
  const { localExecutor } = await import("../../../../server/runs/local-executor.ts");
  const { RayExecutor } = await import("../../../../server/runs/ray/executor.ts");
  const times = { freshMs: 0, absentMs: 300, commandMs: 400, killMs: 500 };
  return { executors: { local: localExecutor, ray: new RayExecutor(times) } };
});

type Answer = (request: IncomingMessage, body: string, response: ServerResponse) => void;

/** A job as Ray describes it. */
const job = (members: object) => ({
  type: "SUBMISSION",
  submission_id: "x",
  message: "",
  error_type: null,
  ...members,
});
const json =
  (value: unknown, status = 200): Answer =>
  (_request, _body, response) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };
const text =
  (value: string, status: number): Answer =>
  (_request, _body, response) => {
    response.writeHead(status).end(value);
  };
const unknownJob: Answer = (request, _body, response) => {
  response.writeHead(404).end(`Job ${request.url?.split("/")[3]} does not exist`);
};
const silence: Answer = () => undefined;

/** What is answered to each call, by its method and the end of its path. */
let answers: { submit: Answer; job: Answer; stop: Answer; version: Answer };
let calls: { readonly what: string; readonly headers: IncomingMessage["headers"]; readonly body: string }[];
let server: Server;
let address: string;
let folder: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => {
      body += part.toString();
    });
    request.on("end", () => {
      const kind = request.url?.endsWith("/stop") ? "stop" : request.url === "/api/version" ? "version" : "job";
      const what = request.method === "POST" && kind === "job" ? "submit" : kind;
      calls.push({ what, headers: request.headers, body });
      answers[what](request, body, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const place = server.address();
  address = `http://127.0.0.1:${typeof place === "object" ? place?.port : ""}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

beforeEach(async () => {
  calls = [];
  answers = {
    submit: json({ job_id: "1", submission_id: "x" }),
    job: json(job({ status: "PENDING" })),
    stop: json({ stopped: true }),
    version: json({ version: "4", ray_version: "2.60.0" }),
  };
  const root = await scratchFolder();
  vi.stubEnv("HOME", root);
  vi.stubEnv("RAY_AUTH_TOKEN", "");
  vi.stubEnv("LFP_EXECUTORS", join(root, "executors.json"));
  await writeFile(
    join(root, "executors.json"),
    JSON.stringify({ ray: { address, cpus: 2, memoryGb: 4, stopSeconds: 3 } }),
  );
  folder = await prepareRun(join(root, "runs"), "demo", {});
});
afterEach(() => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
});

const submit = async () => submitRun({ runFolder: folder, argv: ["lfp", "it's"] }, await readPlace("ray"));
const record = async () => JSON.parse(await readFile(runPaths(folder).job, "utf8"));
const count = (what: string): number => calls.filter((call) => call.what === what).length;

describe("a submission", () => {
  test("names its job by an id of its own, which is in the run folder before Ray is asked", async () => {
    let recorded: unknown;
    answers.submit = (...call) => {
      record().then(
        (found) => {
          recorded = found;
          json({ submission_id: "x" })(...call);
        },
        () => text("no record", 500)(...call),
      );
    };
    await submit();
    const { name, isSubmitted } = await record();
    expect(recorded).toMatchObject({ name, isSubmitted: false });
    expect(isSubmitted).toBe(true);
    expect(JSON.parse(calls[0]?.body ?? "")).toEqual({
      entrypoint: `exec bash '${notePaths(folder, name).script}'`,
      submission_id: name,
      metadata: { lfp: "demo" },
      runtime_env: { env_vars: { RAY_JOB_STOP_WAIT_TIME_S: "3" } },
      entrypoint_num_cpus: 2,
      entrypoint_memory: 4e9,
    });
    // Ray refuses what looks like a browser.
    expect(Object.keys(calls[0]?.headers ?? {}).filter((header) => /^sec-|^origin|^referer/.test(header))).toEqual([]);
    const script = await readFile(notePaths(folder, name).script, "utf8");
    expect(script).toContain(`'lfp' 'it'\\''s' & pid=$!`);
    expect(script).toContain(`exec >> '${runPaths(folder).output}' 2>&1`);
    expect(await runStatus(folder)).toMatchObject({ work: "waiting", state: { for: "a node of the Ray cluster" } });
    await expect(submit()).rejects.toMatchObject({ code: "locked" });
    expect(count("submit")).toBe(1);
  });

  test("quotes paths and asks for custom resources", () => {
    const settings = RaySettings.parse({ gpus: 0.5, resources: { a100: 1 } });
    const { entrypoint, ...rest } = submissionOf({ name: "lfp-a-0" }, "/data/it's", settings);
    expect(entrypoint).toBe(`exec bash '/data/it'\\''s/jobs/lfp-a-0.sh'`);
    expect(rest).toMatchObject({ entrypoint_num_gpus: 0.5, entrypoint_resources: { a100: 1 } });
  });

  test.each<[string, Answer]>([
    ["an answer that never comes", silence],
    ["an error of the id that it has already", text("Traceback\nRuntimeError: already exists", 500)],
    ["a page of a gateway", text("<html>Bad gateway</html>", 502)],
  ])("that Ray has after %s is one job", async (_, answer) => {
    answers.submit = answer;
    await submit();
    expect(await runStatus(folder)).toMatchObject({ work: "waiting" });
    expect(count("submit")).toBe(1);
  });

  test("that Ray did not get is repeated once with the same id", async () => {
    let posts = 0;
    answers.submit = (...call) => (++posts === 1 ? text("No available agent", 500) : json({}))(...call);
    answers.job = unknownJob;
    await submit();
    const ids = calls.filter(({ what }) => what === "submit").map(({ body }) => JSON.parse(body).submission_id);
    expect(new Set(ids).size).toBe(1);
    expect(ids).toHaveLength(2);
  });

  test.each<[string, Answer, string, number]>([
    ["no agent twice", text("Traceback\nNo available agent to submit job", 500), "No available agent", 2],
    ["a wrong type", text("Traceback\nTypeError: num_cpus must be a number", 400), "num_cpus must be a number", 1],
    ["no access", text("Unauthorized", 401), "refuses access (401): give its token in RAY_AUTH_TOKEN", 1],
    [
      "a login page",
      (_request, _body, response) => void response.writeHead(302, { location: "/login" }).end(),
      "answered 302",
      1,
    ],
    ["something else", text("hello", 200), "not of its Jobs API: hello", 2],
  ])("that fails by %s says so, and its job does not begin if it comes after all", async (_, answer, says, posts) => {
    answers.submit = answer;
    answers.job = unknownJob;
    await expect(submit()).rejects.toMatchObject({ code: "resource", message: expect.stringContaining(says) });
    expect(count("submit")).toBe(posts);
    const { name } = await record();
    await expect(readFile(notePaths(folder, name).stop, "utf8")).resolves.toBe("stop\n");
    expect(await runStatus(folder)).toMatchObject({ work: "gone" });
  });

  test("outside the folder that all machines share is refused", async () => {
    const settings = RaySettings.parse({ address, sharedFolder: "/shared" });
    const job = { runFolder: folder, argv: ["lfp"] as const };
    await expect(submitRun(job, { executor: "ray", settings })).rejects.toMatchObject({ code: "usage" });
    expect(calls).toEqual([]);
  });
});

describe("a job is", () => {
  const unknown = (why: string) => ({ work: "unknown", state: { kind: "waiting", for: expect.stringContaining(why) } });
  const gone = (mayGoOn: boolean, state: object) => ({ work: "gone", mayGoOn, state });

  test.each<[string, Answer, object]>([
    ["working", json(job({ status: "RUNNING" })), { work: "working" }],
    [
      "waiting for resources",
      json(job({ status: "PENDING", message: "waiting for resources (CPUs)" })),
      { work: "waiting", state: { for: expect.stringContaining("resources that executors.json asks for") } },
    ],
    ["gone, stopped", json(job({ status: "STOPPED" })), gone(false, { kind: "interrupted" })],
    [
      "gone, saved",
      json(job({ status: "FAILED", driver_exit_code: 75 })),
      gone(true, { why: "its job saved and ended before the run did" }),
    ],
    [
      "gone, its node lost",
      json(job({ status: "FAILED", error_type: "JOB_SUPERVISOR_ACTOR_DIED" })),
      gone(true, { why: "the node of its job was lost" }),
    ],
    [
      "gone, its environment wrong",
      json(job({ status: "FAILED", error_type: "RUNTIME_ENV_SETUP_FAILURE", message: "no such \u001b[31mthing" })),
      gone(false, { why: expect.stringMatching(/Ray says: no such \\u001b/) }),
    ],
    ["unknown in a state of tomorrow", json(job({ status: "HIBERNATING" })), unknown("in the state HIBERNATING")],
    ["unknown while the agent is missing", text("Traceback\nTimeoutError", 500), unknown("answered 500: TimeoutError")],
    ["unknown behind a page", text("<html>login</html>", 200), unknown("not of its Jobs API")],
    ["unknown for a member that is missing", json({ message: "x" }), unknown("not of its Jobs API")],
    ["unknown where a gateway knows no such path", text("404 page not found", 404), unknown("answered 404")],
    ["unknown while there is no answer", silence, unknown("has not answered within 0.4 s")],
    [
      "unknown for an endless answer",
      (_request, _body, response) => void response.end("x".repeat(5_000_000)),
      unknown("more than 4194304 bytes"),
    ],
    [
      "unknown for an answer that breaks off",
      (_request, _body, response) =>
        void response.writeHead(200, { "content-length": "9" }).write("{", () => response.destroy()),
      unknown("cannot be reached"),
    ],
  ])("%s", async (_, answer, expected) => {
    await submit();
    answers.job = answer;
    expect(await runStatus(folder)).toMatchObject(expected);
  });

  test("ended as its own script says, whatever Ray makes of it", async () => {
    await submit();
    const { name } = await record();
    answers.job = json(job({ status: "FAILED", driver_exit_code: 1, message: "Job entrypoint command failed" }));
    await writeFile(notePaths(folder, name).exit, "6 folder\n");
    await writeFile(runPaths(folder).output, "something\nlfp: the disk is full\n");
    const why = "its job ended with status 6: lfp: the disk is full";
    expect(await runStatus(folder)).toMatchObject(gone(false, { why }));
  });

  test("unknown to Ray for a while before it counts as gone, and may then go on", async () => {
    await submit();
    answers.job = unknownJob;
    expect(await runStatus(folder)).toMatchObject(unknown("Ray does not know its job"));
    await expect.poll(async () => (await runStatus(folder)).work, PATIENT).toBe("gone");
    expect(await runStatus(folder)).toMatchObject(gone(true, { why: "Ray no longer knows its job" }));
    // The end is kept: Ray is asked no more.
    const before = calls.length;
    await runStatus(folder);
    expect(calls).toHaveLength(before);
  });

  test("not gone, though a head that was started anew has forgotten it, as long as its process works on another node", async () => {
    await submit();
    const { name } = await record();
    answers.job = unknownJob;
    await lockElsewhere(folder, name, 0);
    const { absent } = notePaths(folder, name);
    await writeFile(absent, JSON.stringify({ sinceMs: Date.now() - 1000 }));
    expect(await runStatus(folder)).toMatchObject({ work: "working", mayGoOn: false });
    await lockElsewhere(folder, name, 301_000);
    expect(await runStatus(folder)).toMatchObject(gone(true, { why: "Ray no longer knows its job" }));
  });

  test("nobody's where its submitter was killed before Ray had it", async () => {
    await submit();
    const { name, ...rest } = await record();
    const submitter = { ...(await thisProcess()), pid: 2 ** 22 - 1, startTime: "gone" };
    await writeFile(runPaths(folder).job, JSON.stringify({ ...rest, name, isSubmitted: false, submitter }));
    answers.job = unknownJob;
    expect(await runStatus(folder)).toMatchObject(gone(true, { why: "its submitter ended before Ray had the job" }));
    expect(await readFile(notePaths(folder, name).stop, "utf8")).toBe("stop\n");
  });

  test("not asked after at an address that is not the user's own", async () => {
    await submit();
    await writeFile(runPaths(folder).job, JSON.stringify({ ...(await record()), address: "http://127.0.0.1:1" }));
    const before = calls.length;
    expect(await runStatus(folder)).toMatchObject(unknown("only that one is asked"));
    expect(calls).toHaveLength(before);
  });
});

describe("stopping", () => {
  test("a job asks Ray once and waits for its end", async () => {
    await submit();
    let looks = 0;
    answers.job = (...call) => json(job({ status: ++looks < 5 ? "RUNNING" : "STOPPED" }))(...call);
    expect(await cancelRun(folder)).toBe(true);
    expect(count("stop")).toBe(1);
    expect(await runStatus(folder)).toMatchObject({ work: "gone", mayGoOn: false });
  });

  test("a job that Ray does not end says so", { timeout: 20_000 }, async () => {
    await submit();
    answers.job = json(job({ status: "RUNNING" }));
    await expect(cancelRun(folder)).rejects.toThrow(/Ray has not ended job lfp-demo-[0-9a-f]+ within 3 s/);
  });

  test("is no success where Ray cannot be asked", async () => {
    await submit();
    answers.job = text("Traceback\nTimeoutError", 500);
    await expect(cancelRun(folder)).rejects.toMatchObject({ code: "resource" });
  });
});

describe("the token", () => {
  test("is found where Ray's tools look for it, and goes with every request", async () => {
    await submit();
    expect(calls[0]?.headers.authorization).toBeUndefined();
    await mkdir(join(process.env["HOME"] ?? "", ".ray"));
    await writeFile(join(process.env["HOME"] ?? "", ".ray", "auth_token"), "of-the-file\n");
    await runStatus(folder);
    expect(calls.at(-1)?.headers.authorization).toBe("Bearer of-the-file");
    vi.stubEnv("RAY_AUTH_TOKEN", "of-the-variable");
    await runStatus(folder);
    expect(calls.at(-1)?.headers.authorization).toBe("Bearer of-the-variable");
    expect(await readFile(runPaths(folder).job, "utf8")).not.toContain("of-the");
  });

  test.each([
    ["http://ray.example:8265", true],
    ["http://10.0.0.1:8265", true],
    ["http://127.0.0.1.example:8265", true],
    ["https://127.0.0.1:1", false],
    ["http://localhost:1", false],
    ["http://[::1]:1", false],
  ])("has to be there for %s: %s", async (other, isRefused) => {
    const asked = new RayClient(other, { HOME: "/nowhere" }, 300).version();
    await expect(asked).rejects.toMatchObject({ code: isRefused ? "usage" : "resource" });
  });
});

describe("lfp doctor --on ray", () => {
  test("says what answers", async () => {
    answers.job = unknownJob;
    const { text: said, status } = await doctorRay(process.env);
    expect(said).toContain(`${address}, Ray 2.60.0`);
    expect(said).toContain("the Jobs API answers");
    expect(status).toBe("ok");
  });

  test("says what is wrong", async () => {
    answers.version = text("Unauthorized", 403);
    expect(await doctorRay(process.env)).toMatchObject({
      status: "resource",
      text: expect.stringContaining("PROBLEM: Ray at"),
    });
    await rm(process.env["LFP_EXECUTORS"] ?? "");
    await writeFile(process.env["LFP_EXECUTORS"] ?? "", JSON.stringify({ ray: { address: "ftp://x" } }));
    expect(await doctorRay(process.env)).toMatchObject({
      status: "resource",
      text: expect.stringContaining("address"),
    });
  });
});
