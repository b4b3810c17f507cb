/** What of a document is read: the cells of a table, and the parts that a person selected. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ReadTokens, StrongestTokens } from "../../../server/protocol/lens.ts";
import { ChooseRun, ConfigurationChanged } from "../../../server/protocol/lens-state.ts";
import { LspClient } from "../../support/lsp-client.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

let root: string;
let client: LspClient;
const settings = { threads: 1, reading: "implicit" as const };
beforeAll(async () => {
  root = await scratchFolder();
  const { folder } = await makeTinyRun(root);
  client = await LspClient.start({
    options: { runsRoots: [join(root, "runs")], trusted: true, settings },
    env: { LFP_STATE_DIR: await scratchFolder() },
  });
  await client.ask(ChooseRun, { runFolder: folder });
});
afterAll(() => client.stop());

const mode = { kind: "implicit" } as const;
const asked = (uri: string) => ({ uri, version: 1, mode, unit: "word" as const, ablation: null });

test("a table is read cell by cell, and other columns as soon as the setting names them", async () => {
  const uri = "file:///w/reviews.csv";
  const table = 'id,text,note\n1,"a ""wonderful"" film",stupid\n2,an awful film,good and bad\n';
  await client.open(uri, table);
  const read = async (): Promise<string[]> => {
    const question = { ...asked(uri), ranges: [{ start: 0, end: 1000 }], maxTokens: 1000 };
    const { passages } = await client.ask(ReadTokens, question);
    return passages.map(({ start, end }) => table.slice(start, end));
  };
  expect(await read()).toEqual(['a ""wonderful"" film', "an awful film"]);
  const { tokens } = await client.ask(StrongestTokens, { ...asked(uri), mode: { kind: "true" }, limit: 10 });
  expect(tokens.map(({ text }) => text).sort()).toEqual(["awful", "wonderful"]);
  const options = { runsRoots: [join(root, "runs")], trusted: true, settings: { ...settings, csvColumns: ["note"] } };
  await client.tell(ConfigurationChanged, ConfigurationChanged.params.parse(options));
  expect(await read()).toEqual(["stupid", "good and bad"]);
});

test("the strongest words of some parts of a document are those within them, and so is their mean", async () => {
  const uri = "untitled:parts";
  const text = "A wonderful film. An awful film.\n\nGood and bad, happy and sad.";
  await client.open(uri, text);
  const question = { ...asked(uri), mode: { kind: "true" as const }, limit: 10 };
  const part = (of: string) => ({ start: text.indexOf(of), end: text.indexOf(of) + of.length });
  const all = await client.ask(StrongestTokens, question);
  expect(all.count).toBe(6);
  const some = await client.ask(StrongestTokens, {
    ...question,
    parts: [part("An awful film."), part("happy and sa")],
  });
  expect(some.tokens.map((token) => token.text).sort()).toEqual(["awful", "happy"]);
  const values = all.tokens.filter((token) => ["awful", "happy"].includes(token.text)).map(({ value }) => value);
  expect(some.count).toBe(2);
  expect(some.mean).toBeCloseTo(((values[0] ?? Number.NaN) + (values[1] ?? Number.NaN)) / 2, 9);
});
