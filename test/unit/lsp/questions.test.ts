import { cp, mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { starterRunFolder } from "../../../server/common/package-root.ts";
import { ChooseRun } from "../../../server/protocol/lens-state.ts";
import { Ask, type QuestionName } from "../../../server/protocol/questions.ts";
import { LspClient } from "../../support/lsp-client.ts";
import { scratchFolder } from "../runs/scratch.ts";

const clients: LspClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});

async function start(runsRoot: string, trusted = true): Promise<LspClient> {
  const client = await LspClient.start({
    options: { runsRoots: [runsRoot], trusted, settings: { device: "cpu", threads: 1 } },
    env: { LFP_STATE_DIR: join(runsRoot, "..", "state") },
  });
  clients.push(client);
  return client;
}

async function runsFolder(): Promise<string> {
  const folder = join(await scratchFolder(), "runs");
  await mkdir(folder);
  await cp(starterRunFolder(), join(folder, "mine"), { recursive: true });
  return folder;
}

test("a question is answered about the run that is looked through, unless it names another", async () => {
  const runsRoot = await runsFolder();
  const client = await start(runsRoot);
  const ask = async (question: QuestionName, input: Record<string, unknown>) =>
    (await client.ask(Ask, { question, input })).answer;
  await client.ask(ChooseRun, { runFolder: starterRunFolder() });
  const text = "A great film.\n\nAn awful one.";
  expect(await ask("score", { text })).toMatch(/^Run starter-run /);
  expect(await ask("score", { text, run: "mine" })).toContain(`Run mine (${join(runsRoot, "mine")})`);
  expect(await ask("status", {})).toContain("mine (");
  expect(await ask("features", { count: 2 })).toContain("1 to 2 of 640 features");
  expect(await ask("feature", { id: "L4/F11" })).toContain("fascinating");
  expect(await ask("report", {})).toMatch(/^# Run/);
});

test("an input that does not fit is refused with what was expected", async () => {
  const client = await start(await runsFolder());
  await expect(client.ask(Ask, { question: "feature", input: { id: "eleven" } })).rejects.toThrow(
    /expected a feature such as L4\/F43/,
  );
  await expect(client.ask(Ask, { question: "status", input: { run: "no" } })).rejects.toThrow(
    /there are mine, starter-run/,
  );
});

test("in Restricted Mode nothing of the workspace is listed or read", async () => {
  const client = await start(await runsFolder(), false);
  const { answer } = await client.ask(Ask, { question: "status", input: {} });
  expect(answer).toContain(basename(starterRunFolder()));
  expect(answer).not.toContain("mine");
  await expect(client.ask(Ask, { question: "report", input: { run: "mine" } })).rejects.toThrow(
    /there is no run "mine"/,
  );
});
