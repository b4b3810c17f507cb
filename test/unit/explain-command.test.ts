import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FeatureStore } from "../../server/store/store.ts";
import { writeSyntheticStore } from "../../server/store/synthetic.ts";
import { FakeOpenAi, sendJson } from "../support/fake-openai.ts";
import { runLfp } from "../support/run-lfp.ts";

const canary = "sk-canary-0b5d2e77aa";
let folder: string;
let run: string;
let server: FakeOpenAi;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-explain-"));
  run = folder;
  server = await FakeOpenAi.start();
  await writeFile(join(run, "experiment.json"), JSON.stringify({ preset: "quick", name: "made-up" }));
  const made = join(folder, "made.sqlite");
  writeSyntheticStore(made, { layers: 1, features: 12 });
  const store = FeatureStore.open(join(run, "features.sqlite"), { create: true });
  store.refill({ path: made, key: "k" });
  store.close();
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

async function lfp(...args: string[]) {
  const ran = await runLfp(args, { env: { OPENAI_API_KEY: canary } });
  expect(ran.stdout + ran.stderr).not.toContain(canary);
  return ran;
}

const keyed = ["--key-env", "OPENAI_API_KEY"] as const;
const toServer = (): string[] => ["--endpoint", server.baseUrl, "--model", "fake-4", ...keyed];

describe("lfp explain", () => {
  it("shows the cost and sends nothing, until it is told to", async () => {
    const { code, stdout, stderr } = await lfp("explain", run, ...toServer(), "--price-in", "5", "--price-out", "15");
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^11 features: about 33 requests to http:\/\/127\.0\.0\.1:\d+, \d+ input and \d+ output tokens, about \$0\.\d+; stops at 1000000 tokens; with the key in OPENAI_API_KEY\n/,
    );
    expect(stdout).toContain("Nothing was sent");
    expect(server.seen).toEqual([]);
  });

  it("sends no key to an endpoint that nobody named it for, and says so beforehand", async () => {
    const elsewhere = ["--endpoint", server.baseUrl, "--model", "other-6"];
    const preview = await lfp("explain", run, "L0/F3", ...elsewhere, "--json");
    expect(preview.stderr).toContain("without a key (OPENAI_API_KEY goes elsewhere only where --key-env names it)");
    expect(JSON.parse(preview.stdout)).toMatchObject({ preview: { keyFrom: null }, sent: false });
    expect((await lfp("explain", run, "L0/F3", ...elsewhere, "--yes")).code).toBe(0);
    expect(server.seen).toHaveLength(3);
    expect(server.seen.every(({ authorization }) => authorization === undefined)).toBe(true);
    server.seen.length = 0;
    const owner = await lfp("explain", run, "--endpoint", "https://api.openai.com/v1", "--model", "x", "--json");
    expect(owner.stderr).toContain("with the key in OPENAI_API_KEY");
    expect(JSON.parse(owner.stdout)).toMatchObject({ preview: { keyFrom: "OPENAI_API_KEY" }, sent: false });
  });

  it("keeps explanations and answers, asks nothing twice, and keeps the key nowhere", async () => {
    const first = await lfp("explain", run, "L0/F3", "L0/F5", ...toServer(), "--yes", "--json");
    expect(JSON.parse(first.stdout)).toMatchObject({
      sent: true,
      stoppedAtCap: false,
      explained: [{ id: "L0/F3" }, { id: "L0/F5" }],
    });
    expect(server.seen.length).toBeGreaterThan(3);
    expect(server.seen.every(({ authorization }) => authorization === `Bearer ${canary}`)).toBe(true);
    const asked = server.seen.length;
    expect((await lfp("explain", run, "L0/F3", ...toServer(), "--yes")).stdout).toContain(
      "0 explained, 0 without an explanation, 1 explained before",
    );
    expect((await lfp("explain", run, "L0/F3", ...toServer(), "--yes", "--again")).stdout).toContain(
      'the word "great"',
    );
    expect(server.seen).toHaveLength(asked);
    expect((await lfp("features", run, "--search", "great", "--relevant")).stdout).toContain("L0/F5");
    for (const name of await readdir(folder, { recursive: true }))
      expect((await readFile(join(folder, name))).includes(canary), name).toBe(false);
    expect(process.argv.join(" ")).not.toContain(canary);
  });

  it("ends with 75 at its cap and goes on with a higher one", async () => {
    let count = 0;
    server.answer = ({ name }) =>
      name === "explanation" ? JSON.stringify({ explanation: `the word "great", ${count++}` }) : undefined;
    const capped = await lfp(
      "explain",
      run,
      ...toServer(),
      "--yes",
      "--max-tokens",
      "6000",
      "--concurrency",
      "1",
      "--json",
    );
    expect(capped.code).toBe(75);
    const { explained, used } = JSON.parse(capped.stdout);
    expect(used.inputTokens + used.outputTokens).toBeLessThanOrEqual(6000);
    const rest = await lfp("explain", run, ...toServer(), "--yes", "--json");
    expect(rest.code).toBe(0);
    expect(JSON.parse(rest.stdout).explained.length + explained.length).toBe(9);
  });

  it("explains without a network and without a key", async () => {
    const asked = server.seen.length;
    const { code, stdout } = await lfp("explain", run, "L0/F7");
    const again = JSON.parse((await lfp("explain", run, "L0/F7", "--again", "--json")).stdout);
    expect(again).toMatchObject({ sent: false, explained: [{ id: "L0/F7" }] });
    expect(code).toBe(0);
    expect(stdout).toMatch(/L0\/F7 {2}strongest on .* \(offline;/);
    expect(server.seen).toHaveLength(asked);
    expect((await lfp("feature", run, "L0/F7")).stdout).toMatch(/the word "great", \d+ \(fake-4;[\s\S]*\(offline;/);
  });

  it("an endpoint that explains nothing ends it with 6 and each feature's reason", async () => {
    server.intercept = (_, response) => {
      sendJson(response, 400, { error: { message: "no such thing" } });
      return true;
    };
    const ran = await lfp(
      "explain",
      run,
      "L0/F9",
      "--endpoint",
      server.baseUrl,
      "--model",
      "other-4",
      "--yes",
      "--json",
    );
    expect(ran.code).toBe(6);
    expect(JSON.parse(ran.stdout)).toMatchObject({ sent: true, explained: [], failed: [{ id: "L0/F9" }] });
  });

  it("a refused key ends it with a reason, without the key", async () => {
    server.intercept = (_, response) => {
      sendJson(response, 401, { error: { message: `no ${canary}` } });
      return true;
    };
    const refused = await lfp(
      "explain",
      run,
      "L0/F9",
      "--endpoint",
      server.baseUrl,
      "--model",
      "other-5",
      "--yes",
      ...keyed,
    );
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("refused the key (401)");
  });

  it.each([
    [["--model", "x"], /--model needs --endpoint/],
    [["--endpoint", "http://localhost/v1"], /--endpoint needs --model/],
    [["--endpoint", "http://10.1.2.3/v1", "--model", "x", "--yes", ...keyed], /not encrypted, so no key is sent/],
    [["--endpoint", "http://localhost/v1", "--model", "x", "--max-usd", "1"], /--max-usd needs --price-in/],
    [
      ["--endpoint", "http://localhost/v1", "--model", "x", "--key-env", "NO_SUCH_KEY"],
      /NO_SUCH_KEY, which is not set/,
    ],
    [["L0/F999"], /has no feature L0\/F999/],
  ])("%j is refused", async (args, says) => {
    const { code, stderr } = await lfp("explain", run, ...args);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(says);
  });
});
