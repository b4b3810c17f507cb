import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { PatienceOptions } from "../../server/endpoint/patience.ts";
import { gradedProvenance } from "../../server/grading/provenance.ts";
import { gradedSummarySchema } from "../../server/grading/summary.ts";
import { contrastSchema } from "../../server/tasks/contrast.ts";
import { FakeOpenAi, type SeenChat, sendAnswer, sendJson } from "../support/fake-openai.ts";
import { gradingAnswer, textOfGrade } from "../support/grading-answers.ts";
import { type Ran, runLfp } from "../support/run-lfp.ts";

// Nothing here needs to wait as long as for a server that has troubles.
vi.mock("../../server/endpoint/patience.ts", async (actual) => {
  const module = await actual<typeof import("../../server/endpoint/patience.ts")>();
  const sleep = async (_: number, signal: AbortSignal | undefined) => signal?.throwIfAborted();
  class Hasty extends module.Patience {
    constructor(options: PatienceOptions) {
      super({ ...options, sleep });
    }
  }
  return { ...module, Patience: Hasty };
});

/** In every text: no log, note, error or summary may hold it. */
const secret = "unspeakable";
const pairs = 6;
const atOnce = { "retry-after-ms": "1" };

let folder: string;
let file: string;
let out: string;
let server: FakeOpenAi;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-grade-"));
  file = join(folder, "pairs.jsonl");
  out = join(folder, "contrasts.jsonl");
  const rows = Array.from({ length: pairs }, (_, at) => ({
    prompt: `\n\nHuman: ${secret} question ${at}?\n\nAssistant:`,
    chosen: ` ${textOfGrade(1, 8)} ${secret} ${at}`,
    rejected: ` ${textOfGrade(2, 8)} ${secret} ${at}`,
  }));
  await writeFile(file, [...rows, { prompt: secret, chosen: "" }].map((row) => `${JSON.stringify(row)}\n`).join(""));
  server = await FakeOpenAi.start();
  server.answer = gradingAnswer;
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const argsOf = (...more: string[]): string[] => [
  ...["pairs", "grade", file, "--endpoint", server.baseUrl, "--model", "fake-4", "--out", out, "--json"],
  ...more,
];
async function grade(...more: string[]): Promise<Ran & { readonly json: ReturnType<typeof JSON.parse> }> {
  const ran = await runLfp(argsOf("--yes", ...more));
  expect(ran.stdout + ran.stderr).not.toContain(secret);
  return { ...ran, json: JSON.parse(ran.stdout) };
}
const linesIn = async (path: string): Promise<string[]> => (await readFile(path, "utf8")).split("\n").slice(0, -1);
const contrasts = async () => (await linesIn(out)).map((line) => contrastSchema.parse(JSON.parse(line)));
const intercept = (respond: (chat: SeenChat, response: ServerResponse) => boolean): void => {
  server.intercept = respond;
};
/** Bodies of the requests that got an answer, each once. */
const distinct = (seen: readonly SeenChat[]): number => new Set(seen.map(({ raw }) => raw)).size;
const rejectedOf = ({ body }: SeenChat): string => JSON.parse(body.messages[1]?.content ?? "{}").answer ?? "";

describe("lfp pairs grade", () => {
  it("shows the price and sends and writes nothing, until it is told to", async () => {
    const ran = await runLfp(argsOf("--price-in", "5", "--price-out", "15"));
    expect(ran.code).toBe(0);
    expect(ran.stderr).toMatch(
      /^1 row: no fields chosen.*\n6 pairs: about 30 requests to http:\/\/127\.0\.0\.1:\d+, \d+ input and \d+ output tokens, about \$0\.\d+; stops at 1000000 tokens; without a key\n$/,
    );
    expect(JSON.parse(ran.stdout)).toMatchObject({ sent: false, preview: { pairs: 6, requests: 30 } });
    expect(server.seen).toEqual([]);
    expect(await readdir(folder)).toEqual(["pairs.jsonl"]);
  });

  it("writes contrasts with what made each of them, and says how far both gradings agree", async () => {
    const { code, json } = await grade("--seed", "5");
    expect(code).toBe(0);
    expect(json).toMatchObject({
      contrasts: 6,
      rows: 7,
      faults: { fields: 1 },
      dropped: {},
      agreement: { answers: 18, equal: 1, kappa: 1 },
      left: 0,
      stopped: null,
    });
    expect(server.seen).toHaveLength(30);
    for (const { body } of server.seen) {
      expect(body).toMatchObject({ temperature: 0, seed: 5 });
      expect(body.response_format).toMatchObject({ type: "json_schema", json_schema: { strict: true } });
      expect(Number(body["max_tokens"])).toBeGreaterThanOrEqual(128);
    }
    const made = await contrasts();
    expect(made.map(({ id }) => id)).toEqual([0, 1, 2, 3, 4, 5].map((row) => `pairs.jsonl/${row}`));
    expect(new Set(made.map(({ group }) => group)).size).toBe(6);
    for (const { provenance } of made) {
      const { found, model, seed, gradings } = gradedProvenance.parse(provenance);
      expect({ model, seed }).toEqual({ model: "fake-4", seed: 5 });
      expect([found.chosen.grade, found.rejected.grade]).toEqual([1, 2]);
      expect(gradings.map(({ request }) => request?.temperature)).toEqual([0, 0]);
    }
  });

  it("keeps the names of requests, providers and models that the server gives", async () => {
    let request = 0;
    intercept((chat, response) => {
      sendJson(response, 200, {
        id: `chatcmpl-${request++}`,
        model: "fake-4-2026-01",
        provider: "somewhere",
        system_fingerprint: "fp_1",
        choices: [{ finish_reason: "stop", message: { role: "assistant", content: gradingAnswer(chat) } }],
        usage: { prompt_tokens: 100, completion_tokens: 10 },
      });
      return true;
    });
    await grade("--limit", "2");
    const named = (await contrasts()).flatMap(({ provenance }) => {
      const { found, rewritten, neutral, gradings } = gradedProvenance.parse(provenance);
      return [found, rewritten, "request" in neutral ? neutral : null, ...gradings].map((part) => part?.request);
    });
    expect(named.map((source) => source?.id).toSorted()).toEqual(
      Array.from({ length: 10 }, (_, at) => `chatcmpl-${at}`),
    );
    expect(named[0]).toMatchObject({ model: "fake-4-2026-01", provider: "somewhere", fingerprint: "fp_1" });
    // Answers from the journal keep them.
    await rm(out);
    await grade("--limit", "2");
    expect(server.seen).toHaveLength(10);
    expect(JSON.stringify(await contrasts())).toContain("chatcmpl-9");
  });

  it("waits out 429 and 500, and asks no answered question again", async () => {
    const refused = new Set<string>();
    intercept(({ raw }, response) => {
      if (refused.has(raw)) return false;
      refused.add(raw);
      const status = refused.size % 2 === 0 ? 429 : 500;
      sendJson(response, status, { error: { message: `no: ${raw}` } }, atOnce);
      return true;
    });
    const { code, json } = await grade();
    expect([code, json.contrasts]).toEqual([0, 6]);
    expect(server.seen).toHaveLength(60);
    expect(distinct(server.seen)).toBe(30);
  });

  it("has half a JSON mended once, and counts what stays broken", async () => {
    intercept((chat, response) => {
      const isAgain = chat.body.messages.length > 2;
      if (chat.name !== "rewritten" || (isAgain && !rejectedOf(chat).endsWith("0"))) return false;
      sendAnswer(response, `{"text": "${secret}`);
      return true;
    });
    const { code, json } = await grade();
    expect(code).toBe(0);
    expect(json).toMatchObject({
      contrasts: 5,
      dropped: { unusable: 1 },
      withoutAnswer: { rewritten: { unusable: 1 } },
    });
    const asked = server.seen.length;
    expect((await grade()).json).toMatchObject({ contrasts: 5, dropped: { unusable: 1 } });
    expect(server.seen).toHaveLength(asked);
    server.intercept = () => false;
    expect((await grade("--again")).json).toMatchObject({ contrasts: 6, dropped: {} });
    expect(server.seen).toHaveLength(asked + 4);
  });

  it("counts refusals by question, does not ask again, and shows no word of them", async () => {
    intercept((chat, response) => {
      if (chat.name !== "rewritten" || !/[013]$/.test(rejectedOf(chat))) return false;
      if (rejectedOf(chat).endsWith("3")) {
        const message = { role: "assistant", content: null };
        sendJson(response, 200, { choices: [{ finish_reason: "content_filter", message }] });
      } else sendAnswer(response, null, { refusal: `I will not write ${secret}` });
      return true;
    });
    const { code, json } = await grade();
    expect(code).toBe(0);
    expect(json).toMatchObject({
      contrasts: 3,
      dropped: { refused: 3 },
      withoutAnswer: { rewritten: { refused: 3 } },
    });
    const asked = server.seen.length;
    const again = await runLfp(argsOf("--yes").filter((arg) => arg !== "--json"));
    expect(again.stdout).toContain("3 dropped: the model refused (rewriting an answer 3)");
    expect(server.seen).toHaveLength(asked);
    const summary = await readFile(`${out}.summary.json`, "utf8");
    expect(summary).not.toContain(secret);
    const { dropped, agreement } = gradedSummarySchema.parse(JSON.parse(summary));
    expect(agreement).toEqual({ answers: 9, equal: 1, kappa: 1 });
    expect(dropped).toContainEqual({ id: "pairs.jsonl/0", reason: "refused", step: "rewritten" });
  });

  it("that no question gets an answer to ends with 6", async () => {
    intercept((_, response) => {
      sendAnswer(response, null, { refusal: "no" });
      return true;
    });
    expect(await grade()).toMatchObject({ code: 6, json: { contrasts: 0, dropped: { refused: 6 } } });
  });

  it("stops at its cap in the middle, keeps what it has, and goes on under a higher one", async () => {
    const prices = ["--price-in", "1000", "--price-out", "1000", "--concurrency", "1"];
    const capped = await grade(...prices, "--cap", "5");
    expect(capped.code).toBe(75);
    expect(capped.json.stopped).toBe("cap");
    expect(capped.json.spentUsd).toBeGreaterThan(0);
    expect(capped.json.spentUsd).toBeLessThanOrEqual(5);
    expect(capped.json.contrasts).toBe((await contrasts()).length);
    expect(capped.json.left).toBeGreaterThan(0);
    const asked = server.seen.length;
    // What was spent before counts: no request fits under the same cap.
    expect((await grade(...prices, "--cap", "5")).code).toBe(75);
    expect(server.seen).toHaveLength(asked);
    const { code, json } = await grade(...prices, "--cap", "60");
    expect(code).toBe(0);
    expect(json).toMatchObject({ contrasts: 6, left: 0, usedInAll: { inputTokens: 3000, outputTokens: 300 } });
    expect(server.seen).toHaveLength(30);
    expect(distinct(server.seen)).toBe(30);
  });

  it("asked to stop, waits for the answers that are on their way, and loses none", async () => {
    const stop = new AbortController();
    intercept((chat, response) => {
      if (server.seen.length < 8) return false;
      stop.abort(new Error("stop"));
      setImmediate(() => sendAnswer(response, gradingAnswer(chat)));
      return true;
    });
    const ran = await runLfp(argsOf("--yes", "--concurrency", "3"), { signal: stop.signal });
    expect(ran.code).toBe(75);
    expect(JSON.parse(ran.stdout)).toMatchObject({ stopped: "signal" });
    server.intercept = () => false;
    expect((await grade()).json).toMatchObject({ contrasts: 6 });
    expect(server.seen).toHaveLength(30);
    expect(distinct(server.seen)).toBe(30);
  });

  it("killed in the middle, goes on without asking again what was answered", async () => {
    const open: SeenChat[] = [];
    const answered: string[] = [];
    const reached = new Promise<void>((done) => {
      intercept((chat, response) => {
        if (answered.length < 12) {
          answered.push(chat.raw);
          sendAnswer(response, gradingAnswer(chat));
        } else if (open.push(chat) === 2) done();
        return true;
      });
    });
    const cli = fileURLToPath(new URL("../../server/cli.ts", import.meta.url));
    const child = spawn(process.execPath, [cli, ...argsOf("--yes", "--concurrency", "2")], { stdio: "ignore" });
    const ended = once(child, "exit");
    await reached;
    child.kill("SIGKILL");
    await ended;
    server.intercept = () => false;
    const before = server.seen.length;
    const preview = JSON.parse((await runLfp(argsOf())).stdout).preview;
    // What was cut off may have been charged for.
    expect(preview.before.outputTokens).toBeGreaterThan(12 * 10 + 2 * 100);
    expect(preview.requests).toBeLessThanOrEqual(30 - 12);
    const { code, json } = await grade();
    expect([code, json.contrasts]).toEqual([0, 6]);
    const later = server.seen.slice(before).map(({ raw }) => raw);
    expect(later.filter((raw) => answered.includes(raw))).toEqual([]);
    expect(open.every(({ raw }) => later.includes(raw))).toBe(true);
    expect(answered.length + later.length).toBe(30);
  }, 60_000);

  it.each<[string, number, (raw: string) => unknown, number, RegExp]>([
    ["a status", 503, (raw) => ({ error: { message: `down: ${raw}` } }), 6, /left 5 .* with status 503, after 6 tries/],
    [
      "an error behind it",
      200,
      (raw) => ({ error: { message: raw } }),
      6,
      /left 5 .*: it answered with an error, after/,
    ],
    ["a model that is not there", 404, (raw) => ({ error: raw }), 4, /knows no model fake-4 \(404\)/],
    ["a refused key", 403, (raw) => ({ error: raw }), 2, /wants a key \(403\)/],
    ["no quota", 402, (raw) => ({ error: raw }), 6, /takes no more requests \(402\)/],
  ])(
    "that only gets %s says so without the server's words, which quote ours",
    async (_, status, bodyOf, code, says) => {
      intercept(({ raw }, response) => {
        sendJson(response, status, bodyOf(raw), atOnce);
        return true;
      });
      const ran = await runLfp(argsOf("--yes", "--concurrency", "1"));
      expect([ran.code, ran.stdout]).toEqual([code, expect.stringMatching(says)]);
      expect(ran.stdout + ran.stderr).not.toContain(secret);
    },
  );

  it("of one file is one command at a time", async () => {
    const stop = new AbortController();
    const first = new Promise<ServerResponse>((done) => {
      intercept((_, response) => {
        done(response);
        return true;
      });
    });
    const running = runLfp(argsOf("--yes", "--concurrency", "1"), { signal: stop.signal });
    const open = await first;
    const second = await runLfp(argsOf("--yes"));
    expect([second.code, second.stdout]).toEqual([7, expect.stringContaining("contrasts.jsonl is held by")]);
    stop.abort(new Error("enough"));
    sendAnswer(open, null, { refusal: "no" });
    expect((await running).code).toBe(75);
    expect(server.seen).toHaveLength(1);
  });

  it("goes on after a torn line, refuses a damaged journal and a file that is not its own", async () => {
    await grade();
    const journal = `${out}.answers.jsonl`;
    const lines = await linesIn(journal);
    await writeFile(journal, `${lines.slice(0, -3).join("\n")}\n{"kind":"answer","key":"x","answ`);
    expect((await grade()).json).toMatchObject({ contrasts: 6 });
    await writeFile(journal, [lines[0], "[1]", ...lines.slice(1), ""].join("\n"));
    expect((await runLfp(argsOf("--yes"))).stdout).toMatch(/answers\.jsonl: line 2 is none that grading wrote/);
    await rm(journal);
    const foreign = await runLfp(argsOf("--yes"));
    expect([foreign.code, foreign.stdout]).toEqual([3, expect.stringContaining("was not made by grading")]);
    expect(await contrasts()).toHaveLength(6);
  });

  it.each([
    [["--cap", "1"], /--max-usd needs --price-in/],
    [["--cap", "1", "--max-usd", "2"], /--cap and --max-usd are the same/],
    [["--task", "rudeness"], /expected one of helpful-harmless, toxicity, pairs/],
  ])("%j is refused", async (args, says) => {
    const { code, stdout } = await runLfp(argsOf(...args));
    expect([code, stdout]).toEqual([2, expect.stringMatching(says)]);
  });

  it("needs an endpoint, and never takes one by itself", async () => {
    const ran = await runLfp(["pairs", "grade", file, "--out", out]);
    expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining("--endpoint URL is missing")]);
  });
});
