import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, expect, test } from "vitest";
import { ConfigurationChanged } from "../../../server/protocol/lens-state.ts";
import { LspClient, published } from "../../support/lsp-client.ts";
import { scratchFolder } from "../runs/scratch.ts";

const clients: LspClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});

async function start(trusted = true): Promise<LspClient> {
  const env = { LFP_STATE_DIR: await scratchFolder(), HF_HOME: await scratchFolder() };
  const client = await LspClient.start({ options: { trusted }, env });
  clients.push(client);
  return client;
}

const uri = "untitled:a.lfp-experiment.json";

test("rules between fields are errors at their keys, in edits that are not saved and with CRLF", async () => {
  const client = await start();
  await client.open(uri, '{\r\n  "preset": "quick"\r\n}\r\n', 1, "json");
  expect((await client.heard(published)).diagnostics).toEqual([]);
  const edited = '{\r\n  "preset": "quick",\r\n  "tuning": { "batchSize": 60, "miniBatchSize": 16 }\r\n}\r\n';
  await client.change(uri, edited, 2);
  const { diagnostics } = await client.heard(published, ({ version }) => version === 2);
  expect(diagnostics).toEqual([
    {
      range: { start: { line: 2, character: 31 }, end: { line: 2, character: 46 } },
      severity: 1,
      source: "LFP Lens experiment",
      code: "experiment",
      message: "tuning.miniBatchSize: must divide batchSize (got 16)",
    },
  ]);

  await client.change(uri, edited.slice(0, -5), 3);
  expect((await client.heard(published, ({ version }) => version === 3)).diagnostics).toEqual([]);
  await client.change(uri, edited, 4);
  expect((await client.heard(published, ({ version }) => version === 4)).diagnostics).toHaveLength(1);
  await client.connection.sendNotification("textDocument/didClose", { textDocument: { uri } });
  expect(await client.heard(published, ({ version }) => version === undefined)).toEqual({ uri, diagnostics: [] });
});

test("data and models that are not there are warnings, which go when they are", async () => {
  const folder = await scratchFolder();
  const client = await start();
  const own = pathToFileURL(join(folder, "my file.lfp-experiment.json")).href;
  const file = { preset: "quick", model: "nobody/nothing", data: { source: { file: "texts.jsonl" } } };
  await client.open(own, JSON.stringify(file), 1, "json");
  const { diagnostics } = await client.heard(published);
  expect(diagnostics.map(({ severity, message }) => [severity, message])).toEqual([
    [2, expect.stringMatching(/^model: .*nobody\/nothing/)],
    [2, expect.stringContaining(`data.source: there is no file ${join(folder, "texts.jsonl")}`)],
  ]);
  expect(diagnostics[1]?.range.start.character).toBe(JSON.stringify(file).indexOf('"source"'));
  await writeFile(join(folder, "texts.jsonl"), '{"text": "good"}\n');
  const after = await client.heard(published, (told) => told.diagnostics.length === 1);
  expect(after.diagnostics[0]?.message).toContain("nobody/nothing");
  await client.change(own, JSON.stringify({ ...file, download: true }), 2);
  expect((await client.heard(published, ({ version }) => version === 2)).diagnostics).toEqual([]);
  await client.change(own, JSON.stringify({ preset: "quick", divergence: { layers: 7 } }), 3);
  const unfit = await client.heard(published, ({ version }) => version === 3);
  expect(unfit.diagnostics).toMatchObject([
    { severity: 2, message: "divergence.layers: got 7; the model has 6 layers", range: { start: { character: 32 } } },
  ]);
});

test("without trust the text alone is checked; other documents are none", async () => {
  const folder = await scratchFolder();
  const client = await start(false);
  const own = pathToFileURL(join(folder, "a.lfp-experiment.json")).href;
  const text = JSON.stringify({ preset: "quick", data: { source: { file: "texts.jsonl" } } });
  await client.open(pathToFileURL(join(folder, "b.json")).href, "{}", 1, "json");
  await client.open("untitled:c.lfp-experiment.json", "{}", 1, "plaintext");
  await client.open(own, text, 1, "json");
  expect(await client.heard(published)).toEqual({ uri: own, version: 1, diagnostics: [] });
  await client.tell(ConfigurationChanged, ConfigurationChanged.params.parse({ trusted: true }));
  const { diagnostics } = await client.heard(published, (told) => told.diagnostics.length > 0);
  expect(diagnostics[0]?.message).toContain("texts.jsonl");
  expect(client.told.filter(({ method }) => method === published.method)).toHaveLength(2);
});

test("a sweep's values are checked as its base experiment takes them, once the workspace is trusted", async () => {
  const folder = await scratchFolder();
  await writeFile(join(folder, "base.json"), JSON.stringify({ preset: "quick", data: { heldOut: 64 } }));
  const client = await start(false);
  const own = pathToFileURL(join(folder, "a.lfp-sweep.json")).href;
  const text = JSON.stringify({ base: "base.json", seeds: 2, grid: { "probe.alpha": [1], "data.limit": [600, 60] } });
  await client.open(own, text, 1, "json");
  expect(await client.heard(published)).toEqual({ uri: own, version: 1, diagnostics: [] });
  await client.tell(ConfigurationChanged, ConfigurationChanged.params.parse({ trusted: true }));
  const { diagnostics } = await client.heard(published, (told) => told.diagnostics.length > 0);
  const at = text.indexOf("60]");
  expect(diagnostics).toMatchObject([
    {
      severity: 1,
      range: { start: { line: 0, character: at }, end: { line: 0, character: at + 2 } },
      message: expect.stringMatching(/^grid\.data\.limit\[1\]: with data\.limit = 60: data\.heldOut: leaves none/),
    },
  ]);
  // What the JSON Schema says too is left to it.
  await client.change(own, text.replace("[600,60]", '["x"]'), 2);
  expect((await client.heard(published, ({ version }) => version === 2)).diagnostics).toEqual([]);
  await client.change(own, text.replace("[600,60]", "[600]").replace("base.json", "none.json"), 3);
  const missing = await client.heard(published, ({ version }) => version === 3);
  expect(missing.diagnostics).toMatchObject([{ message: expect.stringMatching(/^base: .*none\.json cannot be read/) }]);
});
