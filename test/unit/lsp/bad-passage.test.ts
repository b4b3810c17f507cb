import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ReadTokens, StrongestTokens } from "../../../server/protocol/lens.ts";
import { ChooseRun } from "../../../server/protocol/lens-state.ts";
import { LspClient } from "../../support/lsp-client.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

let client: LspClient;
beforeAll(async () => {
  const root = await scratchFolder();
  const { folder } = await makeTinyRun(root);
  client = await LspClient.start({
    options: { runsRoots: [join(root, "runs")], trusted: true, settings: { threads: 1, reading: "implicit" } },
    env: { LFP_STATE_DIR: await scratchFolder() },
  });
  await client.ask(ChooseRun, { runFolder: folder });
});
afterAll(() => client.stop());

const implicit = { kind: "implicit" } as const;
const question = (uri: string) => ({
  uri,
  version: 1,
  ranges: [{ start: 0, end: 10_000 }],
  ablation: null,
  maxTokens: 1000,
});
const marks = `z${"\u0301".repeat(2000)}`;

test("a passage that cannot be cut into tokens is named with its place, and the others are read", async () => {
  const text = `A wonderful film.\n\n${marks}\n\nAn awful film.`;
  await client.open("untitled:marks", text);
  const found = await client.ask(ReadTokens, { ...question("untitled:marks"), mode: implicit });
  expect(found.passages.map(({ start, end }) => text.slice(start, end))).toEqual([
    "A wonderful film.",
    "An awful film.",
  ]);
  expect(found.complete).toBe(true);
  expect(found.unread).toMatchObject([{ start: 19, end: 19 + marks.length, failure: { code: "input" } }]);
  expect(found.unread[0]?.failure.message).toContain('more than 1024 combining marks in a row after "z"');
  const strongest = await client.ask(StrongestTokens, {
    uri: "untitled:marks",
    version: 1,
    mode: implicit,
    ablation: null,
    limit: 5,
    familiarOnly: false,
  });
  expect(strongest.mean).not.toBeNull();
  expect(strongest.count).toBe(found.passages.reduce((sum, { tokens }) => sum + tokens.starts.length, 0));
});

test("a document of nothing else says why there is nothing", async () => {
  await client.open("untitled:only", marks);
  await expect(client.ask(ReadTokens, { ...question("untitled:only"), mode: implicit })).rejects.toThrow(
    /combining marks/,
  );
});
