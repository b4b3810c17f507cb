import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  ablationSchemaFile,
  ablationSchemaText,
  docsFile,
  schemaFile,
  schemaText,
  sweepSchemaFile,
  sweepSchemaText,
} from "../../scripts/build-schema.ts";
import { fieldRows, withFieldTables } from "../../scripts/experiment-fields.ts";
import { presetNames } from "../../server/pipeline/experiment/presets.ts";
import { loadExperiment, parseExperiment } from "../../server/pipeline/experiment/resolve.ts";
import { loadSweep } from "../../server/pipeline/sweep/expand.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("what `npm run build:schema` makes", () => {
  it("is the schema file as it stands", async () => {
    expect(await readFile(schemaFile, "utf8")).toBe(schemaText());
  });

  it("is the schema file of ablation sets as it stands", async () => {
    expect(await readFile(ablationSchemaFile, "utf8")).toBe(ablationSchemaText());
  });

  it("is the schema file of sweeps as it stands", async () => {
    expect(await readFile(sweepSchemaFile, "utf8")).toBe(sweepSchemaText());
  });

  it("is the tables of docs/experiment.md as they stand", async () => {
    const page = await readFile(docsFile, "utf8");
    expect(page).toBe(withFieldTables(page));
    expect(() => withFieldTables("# A page without tables")).toThrow(/lacks/);
  });
});

describe("docs/experiment.md", () => {
  it("says of every field what it is", () => {
    const rows = fieldRows();
    const described = new Set(rows.filter(({ description }) => description !== "").map(({ path }) => path));
    const isDescribed = (path: string): boolean =>
      described.has(path) || described.has(path.slice(0, path.lastIndexOf(".")));
    expect(rows.length).toBeGreaterThan(60);
    expect(rows.map(({ path }) => path).filter((path) => !isDescribed(path))).toEqual([]);
  });

  it("names fields that exist and presets that exist", async () => {
    const page = (await readFile(docsFile, "utf8")).split("## Fields")[0] ?? "";
    const fields = new Set(fieldRows().map(({ path }) => path));
    const named = [...page.matchAll(/`([a-z]+\.(?!jsonl?`)[a-zA-Z]+)`/g)].map(([, name = ""]) => name);
    expect(named.length).toBeGreaterThan(8);
    expect(named.filter((name) => !fields.has(name) && !fields.has(`data.${name}`))).toEqual([]);
    for (const preset of presetNames) expect(page.replace("as-published/...", presetNames.join(" "))).toContain(preset);
  });

  it("gives an experiment that can be parsed", async () => {
    const [, example = ""] = /```json\n([\s\S]*?)```/.exec(await readFile(docsFile, "utf8")) ?? [];
    expect(parseExperiment(example).preset).toBe("quick");
  });
});

describe("docs/method.md", () => {
  it("gives the defaults of fields that it names as they are", async () => {
    const page = await readFile(join(root, "docs", "method.md"), "utf8");
    const given = [...page.matchAll(/`([a-zA-Z.]+)` \(([\d.,]+)[),]/g)];
    const valuesOf = (field: string): unknown[] =>
      presetNames.flatMap((preset) => valuesAt(parseExperiment({ preset }), field));
    const wrong = given.filter(
      ([, field = "", value = ""]) => !valuesOf(field).includes(Number(value.replaceAll(",", ""))),
    );
    expect(given.length).toBeGreaterThan(8);
    expect(wrong.map(([text]) => text)).toEqual([]);
  });
});

/** Values of all members with this name, or with this end of their path. */
function valuesAt(value: unknown, path: string): unknown[] {
  if (typeof value !== "object" || value === null) return [];
  const [first = "", ...rest] = path.split(".");
  const inner = Object.values(value).flatMap((member) => valuesAt(member, path));
  if (!Object.hasOwn(value, first)) return inner;
  const member: unknown = Reflect.get(value, first);
  return [...inner, ...(rest.length === 0 ? [member] : valuesAt(member, rest.join(".")))];
}

describe("examples", async () => {
  const folder = join(root, "examples");
  const names = (await readdir(folder)).filter((name) => name.endsWith(".json"));

  it("are there", () => {
    expect(names.sort()).toEqual([
      "appendix-b.json",
      "graded-helpfulness.json",
      "graded-toxicity.json",
      "own-model-and-data.json",
      "own-preferences.json",
      "own-tuned-pair.json",
      "quick.json",
      "weighed-feedback.json",
    ]);
  });

  it.each(names)("%s can be parsed and points to the schema", async (name) => {
    const experiment = await loadExperiment(join(folder, name));
    expect(experiment.name).toBe(name.replace(".json", ""));
    const { $schema } = JSON.parse(await readFile(join(folder, name), "utf8"));
    expect(join(folder, $schema)).toBe(schemaFile);
  });

  it("of sweeps make the runs that docs/sweep.md says, in the file that it shows", async () => {
    const path = join(folder, "sweeps", "seeds-and-alpha.lfp-sweep.json");
    expect((await loadSweep(path)).runs).toHaveLength(12);
    const { $schema, ...shown } = JSON.parse(await readFile(path, "utf8"));
    expect(join(folder, "sweeps", $schema)).toBe(sweepSchemaFile);
    const [, example = ""] =
      /```json\n([\s\S]*?)```/.exec(await readFile(join(root, "docs", "sweep.md"), "utf8")) ?? [];
    expect(JSON.parse(example)).toEqual(shown);
  });

  it("say what they are there to show", async () => {
    const own = await loadExperiment(join(folder, "own-model-and-data.json"));
    expect(own).toMatchObject({
      model: join(folder, "my-model"),
      data: { source: { file: join(folder, "reviews.csv") } },
    });
    const pair = await loadExperiment(join(folder, "own-tuned-pair.json"));
    const appendix = await loadExperiment(join(folder, "appendix-b.json"));
    expect(appendix.reward).toMatchObject({ kind: "classifier", model: "lvwerra/distilbert-imdb", label: "POSITIVE" });
    for (const name of ["graded-helpfulness.json", "graded-toxicity.json"]) {
      const { reward } = await loadExperiment(join(folder, name));
      expect(reward.kind === "grader" && [1, 2, 3, 4, 5].every((grade) => reward.rubric.includes(` ${grade}: `))).toBe(
        true,
      );
    }
    expect(pair).toMatchObject({ tuning: { kind: "given", model: join(folder, "my-tuned-model") }, download: true });
  });
});
