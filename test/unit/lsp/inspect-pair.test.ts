/** The tokens of a preference pair, over the wire. */
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { starterFolder } from "../../../server/common/package-root.ts";
import { InspectPair } from "../../../server/protocol/inspect-pair.ts";
import { ChooseRun, ComparePair } from "../../../server/protocol/lens-state.ts";
import { LspClient } from "../../support/lsp-client.ts";
import { scratchFolder } from "../runs/scratch.ts";

let root: string;
const clients: LspClient[] = [];
beforeAll(async () => {
  root = await scratchFolder();
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});

async function start(trusted = true): Promise<LspClient> {
  const client = await LspClient.start({
    options: { runsRoots: [join(root, "runs")], trusted, settings: { threads: 1 } },
    env: { LFP_STATE_DIR: await scratchFolder() },
  });
  clients.push(client);
  return client;
}

const texts = { prompt: "The film", chosen: " is good", rejected: " is bad" };
const messages = {
  prompt: [{ role: "user", content: "How?" }],
  chosen: [{ role: "assistant", content: "So." }],
  rejected: [{ role: "assistant", content: "No." }],
};
const asked = (row: unknown) => ({ record: JSON.stringify(row), data: "pairs.jsonl", row: 4 });

test("a pair is read with the bundled run's tokenizer where nothing is chosen, in Restricted Mode too", async () => {
  for (const trusted of [true, false]) {
    const client = await start(trusted);
    const { markdown } = await client.ask(InspectPair, asked(texts));
    expect(markdown).toContain("## Row 4\n");
    expect(markdown).toContain("model   the run starter-run, without a chat template");
    expect(markdown).toMatch(/^4 +0 +answer +counts +end of text +<\|endoftext\|>$/m);
  }
});

test("the run that is looked through says how pairs become tokens", async () => {
  const folder = join(root, "runs", "old");
  await cp(starterFolder(), join(folder, "tuned"), { recursive: true });
  const pairs = { from: "data", tokens: { rule: "trl-0.7.7", maxTokens: 8, maxPromptTokens: 3 } };
  const experiment = { preset: "preferences", data: { source: { file: "pairs.jsonl" } }, tuning: { pairs } };
  await writeFile(join(folder, "experiment.json"), JSON.stringify(experiment));
  const client = await start();
  await client.ask(ChooseRun, { runFolder: folder });
  const { markdown } = await client.ask(InspectPair, asked({ ...texts, prompt: "one two three four five six" }));
  expect(markdown).toContain("model   the run old, without a chat template");
  expect(markdown).toContain("as TRL 0.7.7 did (8 tokens at most; of a prompt the last 3 are kept)");
  expect(markdown).toContain("cut prompt");
});

test("messages go through the chat template of the tuned checkpoint that is compared", async () => {
  const pair = { tuned: join(root, "tuned"), base: starterFolder() };
  await cp(starterFolder(), pair.tuned, { recursive: true });
  const template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}{% endfor %}";
  await writeFile(join(pair.tuned, "chat_template.jinja"), template);
  const client = await start();
  await client.ask(ComparePair, { ...pair, open: false });
  const { markdown } = await client.ask(InspectPair, asked(messages));
  expect(markdown).toContain("messages, written out by the model's chat template");
  expect(markdown).toMatch(/^0 +0 +prompt +begin of text +<\|endoftext\|>$/m);
});

test("a line that is no record, or no pair, says so, and nothing of it is logged", async () => {
  const client = await start();
  const failure = await client.failure(InspectPair, { record: '{"secret', data: "pairs.jsonl", row: 4 });
  expect(failure).toMatchObject({ code: "input", message: expect.stringMatching(/^Line 5 is no record/) });
  const { markdown } = await client.ask(InspectPair, asked({ text: "no pair" }));
  expect(markdown).toContain("left out  no fields chosen and rejected");
});
