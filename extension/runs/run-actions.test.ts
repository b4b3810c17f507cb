/** Commands on runs of the workspace: where one starts, under which name, and what is done to those that rest. */
import { afterEach, describe, expect, it } from "vitest";
import { ExportRun, exportWords } from "../../server/protocol/exports.ts";
import { StartRun } from "../../server/protocol/runs.ts";
import {
  answers,
  cancelToken,
  executed,
  files,
  inputs,
  messages,
  moved,
  picks,
  setConfiguration,
  shownBoxes,
  shownChoices,
  shownLists,
  Uri,
  workspace,
} from "../../test/support/vscode-stub.ts";
import type { Extension } from "../context.ts";
import { compareRuns } from "./compare-runs.ts";
import { exportRun } from "./export-run.ts";
import { deleteRun, duplicateRun, renameRun, revealRun } from "./manage-runs.ts";
import { newExperiment } from "./new-experiment.ts";
import { startRun } from "./run-commands.ts";

interface KnownRun {
  readonly folder: string;
  readonly kind: string;
}

/** The extension with these runs, and what the server and the pages were asked. */
function extensionWith(...known: readonly KnownRun[]) {
  const runs = known.map(({ folder, kind }) => ({
    folder,
    name: folder.slice(folder.lastIndexOf("/") + 1),
    state: kind === "running" ? { kind, stage: "tune" } : { kind },
    stages: [],
    updated: null,
    hasReport: false,
    hasProbe: false,
    dictionaries: null,
    stopping: false,
    overall: null,
    sweep: null,
    hasOutput: false,
  }));
  const asked: unknown[] = [];
  const extension = {
    runs: {
      model: {
        all: async () => runs,
        known: () => runs,
        get: (folder: string) => runs.find((run) => run.folder === folder),
        refresh: () => asked.push("refresh"),
      },
      reveal: async (folder: string) => asked.push(["reveal", folder]),
    },
    server: {
      request: async (
        { method }: typeof StartRun,
        params: { readonly runsRoot: string; readonly name: string | null },
      ) => {
        asked.push([method, params]);
        return { folder: `${params.runsRoot}/${params.name ?? "quick"}` };
      },
    },
    pages: { show: async (subject: unknown) => asked.push(subject) },
    vscode: { asAbsolutePath: (path: string) => new URL(`../../${path}`, import.meta.url).pathname },
  } as unknown as Extension;
  return { extension, asked };
}

const workspaceOf = (...paths: readonly string[]): void => {
  workspace.workspaceFolders = paths.map((path) => ({ uri: Uri.file(path) }));
};

afterEach(() => {
  for (const list of [answers, picks, inputs, messages, shownChoices, shownLists, shownBoxes, moved, executed])
    list.length = 0;
  files.clear();
  workspace.workspaceFolders = undefined;
});

describe("a start", () => {
  setConfiguration("lfpLens.runsFolders", ["runs"]);

  it("asks which of two folders keeps the run, and starts nothing without an answer", async () => {
    workspaceOf("/one", "/two");
    const { extension, asked } = extensionWith();
    await startRun(extension, "quick", "quick");
    expect(shownLists[0]?.map(({ label }) => label)).toEqual(["/one/runs", "/two/runs"]);
    expect(asked).toEqual([]);
    picks.push("/two/runs");
    await startRun(extension, "quick", "quick");
    expect(asked[0]).toEqual([StartRun.method, { experiment: "quick", runsRoot: "/two/runs", name: null }]);
  });

  it("takes the folder that the experiment's file is in without a question", async () => {
    workspaceOf("/one", "/two");
    const { extension, asked } = extensionWith();
    await startRun(extension, "/two/mine.lfp-experiment.json", "mine");
    expect(shownLists).toEqual([]);
    expect(asked[0]).toMatchObject([StartRun.method, { runsRoot: "/two/runs" }]);
  });

  it("does not go over a run of its name without a word", async () => {
    workspaceOf("/one");
    const runs = [
      { folder: "/one/runs/quick", kind: "done" },
      { folder: "/one/runs/quick-2", kind: "done" },
    ];
    const { extension, asked } = extensionWith(...runs);
    await startRun(extension, "quick", "quick");
    expect(messages[0]).toContain("There is a run quick already.");
    expect(shownChoices).toEqual([["Go On With quick", "Start as quick-3"]]);
    expect(asked).toEqual([]);
    answers.push("Start as quick-3");
    await startRun(extension, "quick", "quick");
    answers.push("Go On With quick");
    await startRun(extension, "quick", "quick");
    expect(asked.filter((one) => Array.isArray(one) && one[0] === StartRun.method)).toMatchObject([
      [StartRun.method, { name: "quick-3" }],
      [StartRun.method, { name: null }],
    ]);
  });
});

describe("a new experiment", () => {
  it("asks for the folder where there are two, and proposes a name that neither a run nor a file has", async () => {
    workspaceOf("/one", "/two");
    files.set("file:///two/quick-2.lfp-experiment.json", "{}");
    const { extension } = extensionWith({ folder: "/one/runs/quick", kind: "done" });
    picks.push("/two", "quick");
    inputs.push("", "quick-3");
    await newExperiment(extension);
    expect(shownBoxes.at(-1)?.value).toBe("quick-3");
    const written = files.get("file:///two/quick-3.lfp-experiment.json");
    expect(JSON.parse(written ?? "")).toEqual({ preset: "quick", name: "quick-3" });
    expect(executed).toContainEqual(["showTextDocument", "/two/quick-3.lfp-experiment.json"]);
  });

  it("writes nothing if the person leaves the question of the folder", async () => {
    workspaceOf("/one", "/two");
    await newExperiment(extensionWith().extension);
    expect([shownBoxes, [...files.keys()]]).toEqual([[], []]);
  });
});

describe("a run that rests", () => {
  const folder = "/one/runs/quick";
  const resting = [
    { folder, kind: "done" },
    { folder: "/one/runs/quick-2", kind: "cancelled" },
  ];
  const clicked = { kind: "run", folder };

  it("is renamed to a name that is free, and not to its own", async () => {
    const { extension, asked } = extensionWith(...resting);
    inputs.push("steady", "quick", undefined);
    for (let time = 0; time < 3; time += 1) await renameRun(extension, clicked);
    expect(moved).toEqual([`rename ${folder} /one/runs/steady`]);
    expect(asked).toEqual(["refresh"]);
    const [box] = shownBoxes;
    expect(box?.value).toBe("quick");
    expect(box?.validateInput?.("quick-2")).toBe("There is a run quick-2 already.");
    expect(box?.validateInput?.("quick")).toBeUndefined();
  });

  it("is copied beside itself under the first free name, over nothing", async () => {
    const { extension } = extensionWith(...resting);
    inputs.push("quick-3");
    await duplicateRun(extension, clicked);
    expect(shownBoxes[0]?.value).toBe("quick-3");
    expect(shownBoxes[0]?.validateInput?.("quick")).toBe("There is a run quick already.");
    expect(moved).toEqual([`copy ${folder} /one/runs/quick-3`]);
  });

  it("is moved to the trash once the person has confirmed, and not before", async () => {
    const { extension } = extensionWith(...resting);
    await deleteRun(extension, clicked);
    expect(moved).toEqual([]);
    expect(messages[0]).toContain(folder);
    answers.push("Move to Trash");
    await deleteRun(extension, clicked);
    expect(moved).toEqual([`trash ${folder}`]);
  });

  it("is shown in the file manager, which a run at work is too", async () => {
    const { extension } = extensionWith({ folder, kind: "running" });
    await revealRun(extension, clicked);
    expect(executed).toMatchObject([["revealFileInOS", { path: folder }]]);
  });

  it.each([
    ["renamed", renameRun],
    ["copied", duplicateRun],
    ["deleted", deleteRun],
  ])("can be %s, and one at work cannot", async (done, act) => {
    for (const kind of ["running", "waiting"]) {
      const { extension } = extensionWith({ folder, kind });
      answers.push("Move to Trash");
      inputs.push("other");
      await expect(act(extension, clicked)).rejects.toThrow(`quick is at work and cannot be ${done}. Cancel it first.`);
    }
    expect(moved).toEqual([]);
  });
});

describe("runs to compare", () => {
  const runs = ["a", "b", "c"].map((name) => ({ folder: `/one/runs/${name}`, kind: "done" }));

  it("are those that are selected in the view", async () => {
    const { extension, asked } = extensionWith(...runs);
    const nodes = runs.slice(0, 2).map(({ folder }) => ({ kind: "run", folder }));
    await compareRuns(extension, nodes[0], nodes);
    expect(asked).toEqual([{ page: "compare", runFolders: ["/one/runs/a", "/one/runs/b"] }]);
    expect(shownLists).toEqual([]);
  });

  it("are picked from a list if one is selected, with that one picked already", async () => {
    const { extension } = extensionWith(...runs);
    await compareRuns(extension, { kind: "run", folder: "/one/runs/b" }, undefined);
    expect(shownLists[0]).toMatchObject([{ picked: false }, { label: "b", picked: true }, { picked: false }]);
  });

  it("are at least two", async () => {
    await expect(compareRuns(extensionWith(...runs.slice(0, 1)).extension, undefined, undefined)).rejects.toThrow(
      "There are not two runs yet",
    );
  });
});

describe("an export", () => {
  const folder = "/one/runs/quick";
  const clicked = { kind: "run", folder };
  const exporting = () => {
    const { extension } = extensionWith({ folder, kind: "done" });
    const asked: unknown[] = [];
    const request = async ({ method }: typeof ExportRun, params: { readonly to: string }, token: unknown) => {
      asked.push([method, params, token]);
      return { folder: params.to, files: 2, bytes: 3, notes: ["README.md states no licence"] };
    };
    return { extension: { ...extension, server: { request } } as unknown as Extension, asked };
  };

  it("goes into a new folder where the person says, can be cancelled, and tells what to know before it is passed on", async () => {
    files.set("file:///out/quick-hub", "of an earlier export");
    const { extension, asked } = exporting();
    picks.push(exportWords.hub.title, "/out");
    answers.push("Show Folder");
    await exportRun(extension, clicked);
    expect(asked).toEqual([[ExportRun.method, { folder, kind: "hub", to: "/out/quick-hub-2" }, cancelToken]]);
    expect(messages).toEqual(["quick is exported to quick-hub-2. README.md states no licence."]);
    expect(executed).toMatchObject([["revealFileInOS", { path: "/out/quick-hub-2" }]]);
  });

  it.each([[[]], [[exportWords.neuronpedia.title]]])(
    "does not happen when the person leaves a question",
    async (given) => {
      const { extension, asked } = exporting();
      picks.push(...given);
      await exportRun(extension, clicked);
      expect([asked, messages]).toEqual([[], []]);
    },
  );
});
