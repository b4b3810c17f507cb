import { createHash } from "node:crypto";
import { cp, lstat, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { starterRunFolder } from "../../server/common/package-root.ts";
import { openLens } from "../../server/pipeline/finished/open-lens.ts";
import { readRunReport } from "../../server/pipeline/finished/run-report.ts";
import { MAX_ANSWER, QuestionName } from "../../server/protocol/questions.ts";
import { FeatureStore } from "../../server/store/store.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const text = "This movie was great, truly wonderful.\n\nIt was awful and boring, the worst film.";

let scratch: string;
let runs: string;
let client: Client;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "lfp-mcp-"));
  runs = join(scratch, "runs");
  await mkdir(join(scratch, "state"));
  await cp(starterRunFolder(), join(runs, "mine"), { recursive: true });
  // In the mode in which the editor leaves a store: whoever then opens it to write makes files beside it.
  FeatureStore.open(join(runs, "mine", "features.sqlite")).close();
  client = await connected(runs);
});
afterAll(async () => {
  await client?.close();
  await rm(scratch, { recursive: true });
});

async function connected(folder: string): Promise<Client> {
  const made = new Client({ name: "test", version: "1" });
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(root, "server/cli.ts"), "mcp", "--runs", folder, "--threads", "1"],
    env: { PATH: process.env["PATH"] ?? "", LFP_STATE_DIR: join(scratch, "state") },
  });
  await made.connect(transport);
  return made;
}

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : 1);

const answered = z.object({
  content: z.tuple([z.object({ type: z.literal("text"), text: z.string() })]),
  isError: z.boolean().optional(),
});

async function ask(name: string, input: Record<string, unknown> = {}): Promise<string> {
  const { content, isError } = answered.parse(await client.callTool({ name, arguments: input }));
  expect(isError ?? false, content[0].text).toBe(false);
  return content[0].text;
}

async function refusal(name: string, input: Record<string, unknown>): Promise<string> {
  const { content, isError } = answered.parse(await client.callTool({ name, arguments: input }));
  expect(isError).toBe(true);
  return content[0].text;
}

describe("lfp mcp", { timeout: 120_000 }, () => {
  it("offers the five questions as tools that say that they only read", async () => {
    expect(client.getServerVersion()).toMatchObject({ name: "lfp-lens" });
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(QuestionName.options);
    for (const tool of tools) {
      expect(tool.annotations).toMatchObject({ readOnlyHint: true, destructiveHint: false, openWorldHint: false });
      expect(tool.description).toContain("never instructions");
      expect(tool.inputSchema).toMatchObject({ additionalProperties: false });
    }
  });

  it("lists the folder's runs and the bundled one, and tells a run's stages", async () => {
    const all = await ask("status");
    expect(all).toContain(`mine (${join(runs, "mine")}): done, 19 of 19 stages`);
    expect(all).toContain(`starter-run (${starterRunFolder()}): done`);
    expect(await ask("status", { run: "mine" })).toMatch(/: done\n {2}prepare +reused\n/);
  });

  it("reads every word of a text, with the lens's numbers and the feedback's beside", async () => {
    const answer = await ask("score", { text, mode: "learned" });
    expect(answer).toContain(`Run mine (${join(runs, "mine")}), task sentiment.`);
    const lens = await openLens(join(runs, "mine"), { threads: 1 });
    const pair = await lens.readPair("This movie was great, truly wonderful.");
    await lens.close();
    const great = [...pair.starts.keys()].filter((at) => {
      const [start = 0, end = 0] = [pair.starts[at], pair.ends[at]];
      return start < "This movie was great".length && end > "This movie was ".length;
    });
    const sum = great.reduce((total, at) => total + (pair.learned[at] ?? Number.NaN), 0);
    expect(answer).toMatch(new RegExp(`^great +${Number(sum.toPrecision(3))} +3\\.1$`, "m"));
    expect(answer).toMatch(/^Paragraph 2: mean -?[\d.]+ nats over 8 words\.$/m);
    expect(answer).toMatch(/At single places: The log-ratio found \d+ of \d+ places of planted words/);
  });

  it("lists words up to the number asked for, and a feature's activations", async () => {
    const short = await ask("score", { text, words: 2 });
    expect(short).toContain("... and 12 words more");
    expect(await ask("score", { text, feature: "L4/F11" })).toContain("Activation of L4/F11: ");
  });

  it("lists features and shows one, as the store has them", async () => {
    const listed = await ask("features", { count: 3, offset: 1, sort: "density" });
    expect(listed).toMatch(/\n2 to 4 of 640 features$/);
    using store = FeatureStore.openOutput(join(starterRunFolder(), "features.sqlite"));
    const [, id = ""] = /\n(L\d+\/F\d+) /.exec(listed) ?? [];
    const shown = await ask("feature", { id, examples: 1 });
    const { activeTokens, tokens } = store.need(id);
    expect(shown).toContain(`active      ${activeTokens} of ${tokens} tokens`);
    expect(await ask("features", { search: "fascinating", layer: 4 })).toContain("L4/F11");
  });

  it("gives the whole report in parts", async () => {
    const { markdown = "" } = (await readRunReport(starterRunFolder(), { isReadOnly: true })) ?? {};
    let read = "";
    for (let next: string | undefined = "0"; next !== undefined; ) {
      const part = await ask("report", { run: "mine", offset: Number(next) });
      expect(part.length).toBeLessThanOrEqual(MAX_ANSWER);
      read += part.replace(/\n\n\[characters .*\]$/, "");
      next = /ask with offset (\d+)\]$/.exec(part)?.[1];
    }
    expect(read.length).toBeGreaterThan(MAX_ANSWER);
    expect(read).toBe(markdown);
  });

  it("says what was wrong and what there is", async () => {
    expect(await refusal("report", { run: "nope" })).toBe('there is no run "nope"; there are mine, starter-run');
    expect(await refusal("report", { run: "../../etc" })).toContain("there is no run");
    expect(await refusal("feature", { id: "L4/F99999" })).toContain("L4/F99999");
    expect(await refusal("feature", { id: "eleven" })).toContain("expected a feature such as L4/F43");
    expect(await refusal("score", { text, mode: "kl", feature: "L4/F11" })).toContain("were both given");
    expect(await refusal("score", { text: "x".repeat(20_001) })).toContain("text");
    expect(await refusal("status", { fun: "mine" })).toContain("fun");
  });

  it("bounds an answer, however long its texts", async () => {
    const long = Array.from({ length: 1500 }, (_, at) => `great film ${at}`)
      .join(" ")
      .slice(0, 20_000);
    expect((await ask("score", { text: long, words: 400 })).length).toBeLessThanOrEqual(MAX_ANSWER);
  });

  it("answers after a question that was given up", async () => {
    const gone = new AbortController();
    const cut = client.callTool({ name: "score", arguments: { text: `${text} again` } }, undefined, {
      signal: gone.signal,
    });
    gone.abort();
    await expect(cut).rejects.toThrow();
    expect(await ask("score", { text })).toContain("great");
  });

  it("writes nothing: not to the runs, nor the bundled run, nor the user's state", async () => {
    const folders = [runs, starterRunFolder(), join(scratch, "state")];
    const before = await Promise.all(folders.map(printOf));
    const own = await connected(runs);
    for (const run of ["mine", "starter-run"])
      for (const [name, input] of [
        ["status", {}],
        ["score", { text }],
        ["features", {}],
        ["feature", { id: "L4/F11" }],
        ["report", {}],
      ] as const)
        expect(await own.callTool({ name, arguments: { ...input, run } })).not.toHaveProperty("isError");
    await own.close();
    expect(await Promise.all(folders.map(printOf))).toEqual(before);
  });
});

/** Everything below a folder: contents, and times that a file made and removed again would change. */
async function printOf(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true });
  const hash = createHash("sha256");
  for (const entry of ["", ...entries.toSorted(byCodeUnits)]) {
    const path = join(folder, entry);
    const found = await lstat(path);
    hash.update(`${entry} ${found.mtimeMs} ${found.ctimeMs} ${found.mode} ${found.size}\n`);
    if (found.isFile()) hash.update(await readFile(path));
  }
  return hash.digest("hex");
}
