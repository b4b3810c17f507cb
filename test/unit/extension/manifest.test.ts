/** package.json tells VS Code what extension/ holds: the two must not drift apart. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { toolName } from "../../../extension/chat-tools.ts";
import { commands } from "../../../extension/commands.ts";
import { HOW_TO_READ } from "../../../extension/feature-commands.ts";
import { hues, steps } from "../../../extension/overlay/scale.ts";
import { PageSubject } from "../../../extension/pages/panels.ts";
import { settings } from "../../../extension/settings.ts";
import {
  copyText,
  hoverCommands,
  ignoreWord,
  openFeature,
  showTokenFeatures,
} from "../../../server/protocol/commands.ts";
import { QuestionName, questionCaution, questionInputs, questionWords } from "../../../server/protocol/questions.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const text = await readFile(join(root, "package.json"), "utf8");

const manifest = z
  .object({
    main: z.string(),
    icon: z.string(),
    activationEvents: z.array(z.string()),
    capabilities: z.object({
      untrustedWorkspaces: z.object({
        supported: z.literal("limited"),
        description: z.string(),
        restrictedConfigurations: z.array(z.string()),
      }),
    }),
    contributes: z.object({
      commands: z.array(
        z.object({ command: z.string(), title: z.string(), category: z.string(), enablement: z.string().optional() }),
      ),
      menus: z.record(z.string(), z.array(z.object({ command: z.string(), when: z.string().optional() }))),
      colors: z.array(
        z.object({
          id: z.string(),
          description: z.string(),
          defaults: z.record(z.enum(["dark", "light", "highContrast", "highContrastLight"]), z.string()),
        }),
      ),
      languageModelTools: z.array(
        z.strictObject({
          name: z.string(),
          displayName: z.string(),
          toolReferenceName: z.string(),
          canBeReferencedInPrompt: z.literal(true),
          icon: z.string(),
          userDescription: z.string(),
          modelDescription: z.string(),
          when: z.string(),
          inputSchema: z.record(z.string(), z.unknown()),
        }),
      ),
      configuration: z.array(
        z.strictObject({
          title: z.string(),
          order: z.int(),
          properties: z.record(z.string(), z.record(z.string(), z.unknown())),
        }),
      ),
    }),
  })
  .parse(JSON.parse(text));

const { contributes } = manifest;
const properties = Object.assign({}, ...contributes.configuration.map((group) => group.properties)) as Record<
  string,
  Record<string, unknown>
>;
/** Read by vscode-languageclient, not by us. */
const foreignSettings = ["lfpLens.trace.server"];

describe("commands", () => {
  const titled = contributes.commands.map(({ command }) => command);

  it("of package.json are those of the extension's table", () => {
    expect(titled.filter((id) => !(id in commands))).toEqual([]);
    expect(new Set(titled).size).toBe(titled.length);
  });

  it("without a title are those that only the status bar, hovers and quick fixes run", () => {
    const untitled = Object.keys(commands).filter((id) => !titled.includes(id));
    expect(new Set(untitled)).toEqual(
      new Set(["lfpLens.serverProblem", "lfpLens.readAnyway", openFeature.id, ignoreWord.id, copyText.id]),
    );
    const named = [...hoverCommands, ignoreWord.id, showTokenFeatures.id];
    expect(named.filter((id) => !(id in commands))).toEqual([]);
  });

  it("share one category, and their titles end without a full stop", () => {
    for (const { title, category } of contributes.commands) {
      expect(category).toBe("LFP Lens");
      expect(title).toMatch(/^[A-Z].*[^.]$/);
    }
  });

  it("that menus name have a title, without which VS Code tells people of a fault", () => {
    const named = Object.values(contributes.menus).flatMap((items) => items.map(({ command }) => command));
    expect(named.filter((id) => id.startsWith("lfpLens.") && !titled.includes(id))).toEqual([]);
  });
});

describe("the palette", () => {
  const palette = contributes.menus["commandPalette"] ?? [];
  const offeredIn = (situation: Situation): string[] =>
    contributes.commands
      .filter(({ command, enablement = "true" }) => {
        const { when = "true" } = palette.find((item) => item.command === command) ?? {};
        return holds(when, situation) && holds(enablement, situation);
      })
      .map(({ command }) => command.replace("lfpLens.", ""));
  const atFirst = {
    isWorkspaceTrusted: true,
    workspaceFolderCount: 1,
    editorLangId: "markdown",
    resourceExtname: ".jsonl",
    activeWebviewPanelId: "lfpLens.feature",
    editorHasSelection: true,
    "lfpLens.readsSelection": true,
  };
  const ofSweeps = ["resumeSweep", "cancelSweep"];
  const ofHouse = ["exportRun", "renameRun", "duplicateRun", "deleteRun"];
  /** What needs a run of the folder to be loaded, started, stopped or gone on with. */
  const needTrust = [
    "chooseRun",
    "compareCheckpoints",
    "runQuick",
    "startRun",
    "startSweep",
    "resumeRun",
    "cancelRun",
    ...ofSweeps,
    ...ofHouse,
  ];
  const needFolder = ["chooseAblation", "newExperiment", ...needTrust.slice(2)];
  const ofRuns = ["compareRuns", "showCurves", "openRunLog", "openRunExperiment", "revealRun", "showRunOutput"];
  const ofText = ["listTokens", "nextToken", "previousToken", "showTokenFeatures"];
  const without = (...hidden: string[]): string[] => offeredIn(atFirst).filter((id) => !hidden.includes(id));

  it("offers at first everything but what ends or changes something that is not there", () => {
    const all = contributes.commands.map(({ command }) => command.replace("lfpLens.", ""));
    const others = ["hideReward", "closeDifference", "chooseCsvColumns"];
    expect(offeredIn(atFirst)).toEqual(all.filter((id) => !others.includes(id)));
    expect(offeredIn({ ...atFirst, "lfpLens.comparesRuns": true })).toContain("closeDifference");
    expect(offeredIn({ ...atFirst, resourceExtname: ".csv" })).toContain("chooseCsvColumns");
    expect(offeredIn({ ...atFirst, "lfpLens.overlayOn": true })).toContain("hideReward");
  });

  it("offers what is about pairs where a record may be at the cursor", () => {
    const ofPairs = ["listPairs", "nextPair", "previousPair", "showPairWords"];
    const other = { ...atFirst, resourceExtname: ".md" };
    expect(offeredIn(other)).toEqual(without("inspectPair", ...ofPairs));
    expect(offeredIn({ ...other, editorLangId: "jsonl" })).toEqual(without("inspectPair"));
  });

  it("offers in Restricted Mode nothing that is refused there", () => {
    expect(offeredIn({ ...atFirst, isWorkspaceTrusted: false })).toEqual(without(...needTrust));
  });

  it("offers without a folder nothing that is kept in one", () => {
    expect(offeredIn({ ...atFirst, workspaceFolderCount: 0 })).toEqual(
      without(...needFolder, ...ofRuns, "compareSweep"),
    );
  });

  it("offers without a text nothing that is done to one", () => {
    const { editorLangId: _, ...noEditor } = atFirst;
    expect(offeredIn(noEditor)).toEqual(without(...ofText, "compareCompletions"));
    expect(offeredIn({ ...atFirst, editorLangId: "python" })).toEqual(without(...ofText));
  });

  it("offers nothing about what is known not to be there", () => {
    const none = { "lfpLens.noRun": true, "lfpLens.noCurves": true };
    const noWork = { "lfpLens.noActiveRun": true, "lfpLens.noResumableRun": true };
    expect(offeredIn({ ...atFirst, ...none, ...noWork })).toEqual(
      without(...ofRuns, ...ofHouse, "cancelRun", "resumeRun"),
    );
    expect(offeredIn({ ...atFirst, "lfpLens.noSweep": true })).toEqual(without(...ofSweeps, "compareSweep"));
    expect(offeredIn({ ...atFirst, "lfpLens.nothingAblated": true })).toEqual(
      without("openAblation", "toggleAblation", "compareCompletions"),
    );
    expect(offeredIn({ ...atFirst, "lfpLens.nothingIgnored": true })).toEqual(without("editIgnored"));
  });

  it("looks at keys that VS Code or the extension sets", async () => {
    const clauses = [
      ...Object.values(contributes.menus)
        .flat()
        .map(({ when = "" }) => when),
    ];
    clauses.push(...contributes.commands.map(({ enablement = "" }) => enablement));
    const own = new Set(clauses.flatMap((clause) => clause.match(/(?<![=.\w] ?)lfpLens\.\w+/g) ?? []));
    const files = await readdir(join(root, "extension"), { recursive: true });
    const sources = await Promise.all(
      files.filter((name) => name.endsWith(".ts")).map((name) => readFile(join(root, "extension", name), "utf8")),
    );
    const code = sources.filter((source) => source.includes('"setContext"')).join("\n");
    const views = ["lfpLens.reading", "lfpLens.runs", "lfpLens.features", "lfpLens.ablation"];
    expect([...own].filter((key) => !views.includes(key) && !code.includes(`"${key}"`))).toEqual([]);
  });
});

type Situation = Readonly<Record<string, string | number | boolean>>;

/** A when-clause of the few forms that package.json uses; anything else is an error. */
function holds(clause: string, situation: Situation): boolean {
  return clause.split(" || ").some((or) => or.split(" && ").every((term) => termHolds(term, situation)));
}

function termHolds(term: string, situation: Situation): boolean {
  const [, not, key = "", operator, operand = ""] = /^(!?)([\w.]+)(?: (==|!=|=~) (.+))?$/.exec(term) ?? [];
  if (key === "") throw new Error(`a term of another form: ${term}`);
  if (key === "true" || key === "false") return key === "true";
  const value = situation[key] ?? "";
  if (operator === "=~") return new RegExp(operand.slice(1, -1)).test(String(value));
  if (operator !== undefined) return (String(value) === operand) === (operator === "==");
  return Boolean(value) !== (not === "!");
}

describe("colours", () => {
  it("are the steps of the scale and their lines, each in all four kinds of theme", () => {
    const expected = [...steps, ...hues.map((hue) => `${hue}Line`)].map((name) => `lfpLens.${name}`);
    expect(new Set(contributes.colors.map(({ id }) => id))).toEqual(new Set(expected));
    for (const { defaults } of contributes.colors)
      for (const color of Object.values(defaults)) expect(color).toMatch(/^#[0-9a-f]{6}([0-9a-f]{2})?$/);
  });

  it("need at most sixteen kinds of decoration", () => {
    expect(steps.length).toBeLessThanOrEqual(16);
  });
});

describe("settings", () => {
  it("stand in groups, each in an order of its own and none twice", () => {
    const { configuration } = contributes;
    expect(configuration.map(({ order }) => order)).toEqual(configuration.map((_, at) => at + 1));
    const names = configuration.flatMap((group) => Object.keys(group.properties));
    expect(names).toHaveLength(Object.keys(properties).length);
    for (const group of configuration)
      expect(Object.values(group.properties).map(({ order }) => order)).toEqual(
        Object.keys(group.properties).map((_, at) => at + 1),
      );
  });

  it("of package.json are those of settings.ts", () => {
    const declared = Object.keys(settings).map((name) => `lfpLens.${name}`);
    expect(new Set(Object.keys(properties))).toEqual(new Set([...declared, ...foreignSettings]));
  });

  it.each(Object.entries(settings))(
    "%s has the same type, bounds, default and scope, and a description",
    (name, declared) => {
      const { $schema: _, ...expected } = z.toJSONSchema(declared.schema, { io: "input" });
      const { scope, order, markdownDescription, enumDescriptions, ...schema } = properties[`lfpLens.${name}`] ?? {};
      expect(schema).toEqual(expected);
      expect(scope).toBe(declared.scope);
      expect(order).toBeTypeOf("number");
      expect(markdownDescription).toMatch(/^[A-Z`].*\.$/);
      if (enumDescriptions !== undefined)
        expect(enumDescriptions).toHaveLength(z.array(z.string()).parse(schema["enum"]).length);
    },
  );

  it("that choose what is run or where text goes are out of an untrusted workspace's reach", () => {
    const dangerous = Object.keys(settings).filter((name) =>
      /^(explain\.(endpoint|model)|device|threads|runOn|runsFolders)$/.test(name),
    );
    const restricted = manifest.capabilities.untrustedWorkspaces.restrictedConfigurations;
    expect(new Set(restricted)).toEqual(new Set(dangerous.map((name) => `lfpLens.${name}`)));
    for (const name of Object.keys(settings))
      if (name.startsWith("explain.") || name === "runOn")
        expect(properties[`lfpLens.${name}`]?.["scope"]).toBe("machine");
  });
});

describe("tools for chat", () => {
  it.each(QuestionName.options)(
    "lfpLens_%s takes the question's input, says that its texts are data, and is off at first",
    (question) => {
      const tool = contributes.languageModelTools.find(({ name }) => name === toolName(question));
      const { $schema: _, ...input } = z.toJSONSchema(questionInputs[question], { io: "input" });
      expect(tool?.inputSchema).toEqual(input);
      expect(tool?.modelDescription).toBe(`${questionWords[question].about} ${questionCaution}`);
      expect(tool).toMatchObject({
        displayName: questionWords[question].title,
        when: "config.lfpLens.chatTools.enabled",
      });
      expect(properties["lfpLens.chatTools.enabled"]).toMatchObject({
        default: false,
        scope: "application",
      });
    },
  );

  it("are the questions and no more, each with a name of its own in prompts", () => {
    const tools = contributes.languageModelTools;
    expect(tools.map(({ name }) => name)).toEqual(QuestionName.options.map(toolName));
    expect(new Set(tools.map(({ toolReferenceName }) => toolReferenceName)).size).toBe(tools.length);
  });
});

describe("the page that hovers point to", () => {
  it("has the heading that it is opened at, as Markdown's preview names it", async () => {
    const guide = await readFile(join(root, "docs", "editor.md"), "utf8");
    const headings = [...guide.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
      title.toLowerCase().replaceAll(" ", "-"),
    );
    expect(headings).toContain(HOW_TO_READ);
  });
});

describe("what package.json points to", () => {
  it("exists", () => {
    const pointed = [...text.matchAll(/"(?:\.\/)?((?:media|schemas|docs)\/[^"]+)"/g)].map(([, path = ""]) => path);
    expect(pointed).toContain(manifest.icon);
    expect(pointed.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(manifest.main).toBe("./dist/extension.cjs");
  });

  it("is loaded only when it is used, when a page is restored, when there may be runs, or when a file is opened that may be an experiment", () => {
    // A page that is open when a window is reloaded is restored, whatever else is in the window.
    const pages = PageSubject.options.map(({ shape }) => `onWebviewPanel:lfpLens.${shape.page.value}`);
    expect(manifest.activationEvents).toEqual([
      "onLanguage:json",
      "onLanguage:jsonc",
      ...pages.toSorted((a, b) => (a < b ? -1 : 1)),
      "workspaceContains:runs",
    ]);
  });
});
