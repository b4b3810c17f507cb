import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AblationSet } from "../../server/protocol/ablation.ts";
import type { LensState } from "../../server/protocol/lens-state.ts";
import { runInfo } from "../../test/support/lens-info.ts";
import {
  answers,
  EventEmitter,
  files,
  messages,
  readOnlyFolders,
  TextDocument,
  Uri,
  workspace,
  writeFile,
} from "../../test/support/vscode-stub.ts";
import type { ServerState } from "../server-connection.ts";
import { AblationChoice, type AblationParts } from "./choice.ts";
import { withFeature } from "./file.ts";

const folder = Uri.file("/w");
const active = Uri.joinPath(folder, "ablation.lfp-ablation.json");
const one = { runFolder: "/runs/one", id: "L4/F43" };
const two = { runFolder: "/runs/two", id: "L4/F43" };
const digests: Readonly<Record<string, string>> = { "/runs/one": "d1", "/runs/two": "d2", "/runs/renamed": "d1" };

function ready(runFolder: string): LensState {
  const runName = runFolder.slice("/runs/".length);
  return { kind: "ready", info: { ...runInfo, runFolder, runName, dictionaries: digests[runFolder] ?? null } };
}

/** The choice in an editor that looks through a run; `told` is what the server has heard, newest last. */
function started(state: LensState, remembered?: Uri) {
  const lensChanged = new EventEmitter<LensState>();
  const told: (AblationSet | null)[] = [];
  let lens = state;
  const kept = new Map<string, unknown>([["lfpLens.activeAblation", remembered?.toString()]]);
  const parts = {
    vscode: {
      workspaceState: {
        get: (key: string) => kept.get(key),
        update: async (key: string, value: unknown) => void kept.set(key, value),
      },
    },
    log: { error: (line: string) => messages.push(line) },
    get lens() {
      return lens;
    },
    onDidChangeLens: lensChanged.event,
    runs: {
      model: {
        get: (runFolder: string) => ({ dictionaries: digests[runFolder] ?? null }),
        identity: async (runFolder: string) => ({
          name: runFolder.slice("/runs/".length),
          dictionaries: digests[runFolder] ?? null,
        }),
      },
    },
    server: {
      onDidChangeState: new EventEmitter<ServerState>().event,
      notify: async (_: unknown, { ablation }: { ablation: AblationSet | null }) => void told.push(ablation),
    },
  } as unknown as AblationParts;
  const choice = new AblationChoice(parts);
  choices.push(choice);
  const look = (next: LensState): void => {
    lens = next;
    lensChanged.fire(next);
  };
  return { choice, told, look, parts };
}

const choices: AblationChoice[] = [];
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const written = (uri: Uri): unknown => JSON.parse(files.get(uri.toString()) ?? "null");

beforeEach(() => {
  workspace.workspaceFolders = [{ uri: folder }];
});
afterEach(() => {
  for (const choice of choices.splice(0)) choice.dispose();
  for (const kept of [files, readOnlyFolders]) kept.clear();
  for (const list of [answers, messages, workspace.textDocuments]) list.length = 0;
});

describe("an ablation set", () => {
  it("names its run in the file, and acts on no other run, whatever the lens moves to", async () => {
    const { choice, told, look } = started(ready("/runs/one"));
    let changes = 0;
    choice.onDidChange(() => changes++);
    await choice.add(one, 0);
    expect(written(active)).toMatchObject({
      run: { name: "one", dictionaries: "d1" },
      features: [{ id: "L4/F43", factor: 0 }],
    });
    expect([choice.acting?.features.length, choice.idle]).toEqual([1, undefined]);
    const before = changes;
    look(ready("/runs/two"));
    expect(choice.acting).toBeNull();
    expect(choice.idle).toBe("ablation.lfp-ablation.json belongs to one, and is not applied here");
    expect([told.at(-1), changes]).toEqual([null, before + 1]);
    // The same dictionaries under another name.
    look(ready("/runs/renamed"));
    expect(choice.acting?.features.length).toBe(1);
    look({ kind: "ready", info: { kind: "pair", tuned: "/t", base: "/b", modelType: "x", bos: true, device: "CPU" } });
    expect(choice.acting).toBeNull();
  });

  it("of another run is left alone by a feature that is ablated, which goes into a file of its own run", async () => {
    const { choice } = started(ready("/runs/one"));
    await choice.add(one, 0);
    expect(await choice.factorOf(two)).toBeNull();
    await choice.remove(two);
    await choice.add(two, 2);
    expect(choice.uri?.path).toBe("/w/two.lfp-ablation.json");
    expect(written(active)).toMatchObject({ run: { name: "one" }, features: [{ id: "L4/F43", factor: 0 }] });
    expect([await choice.factorOf(two), await choice.factorOf(one)]).toEqual([2, null]);
    await choice.add(one, 0.5);
    expect(choice.uri?.path).toBe(active.path);
  });

  it("of an earlier version, which names no run, is asked about, once, and bound by the answer", async () => {
    writeFile(active, '{"format":"lfp-ablation/1","note":"mine","features":[{"id":"L4/F43"}]}');
    answers.push("Leave It");
    const { choice, look } = started(ready("/runs/one"), active);
    await settled();
    expect([choice.acting, messages.length]).toEqual([null, 1]);
    expect(choice.idle).toMatch(/says of no run/);
    look(ready("/runs/one"));
    await settled();
    expect(messages).toHaveLength(1);
    answers.push("Apply to two");
    look(ready("/runs/two"));
    await settled();
    expect(choice.acting?.run?.name).toBe("two");
    expect(written(active)).toMatchObject({ note: "mine", run: { name: "two", dictionaries: "d2" } });
  });

  it("that is open with unsaved changes keeps them when a feature is added", async () => {
    const { choice } = started(ready("/runs/one"));
    await choice.add(one, 0);
    const document = new TextDocument(active as never, files.get(active.toString()) ?? "");
    workspace.textDocuments.push(document);
    document.type(document.getText().replace('"note": ""', '"note": "unsaved"'));
    await choice.add({ ...one, id: "L5/F1" }, 0);
    expect(written(active)).toMatchObject({ note: "unsaved", features: [{ id: "L4/F43" }, { id: "L5/F1" }] });
    document.type("{");
    await expect(choice.add({ ...one, id: "L5/F2" }, 0)).rejects.toThrow(/must be mended first/);
    expect(written(active)).toMatchObject({ note: "unsaved" });
  });

  it("without a folder is an untitled document, and acts as it is edited", async () => {
    workspace.workspaceFolders = undefined;
    const { choice } = started(ready("/runs/one"));
    await choice.add(one, 0);
    expect(choice.uri?.scheme).toBe("untitled");
    expect(choice.acting?.features).toEqual([{ id: "L4/F43", factor: 0 }]);
    const [document] = workspace.textDocuments;
    document?.type(document.getText().replace('"factor": 0', '"factor": 3'));
    await settled();
    expect(choice.acting?.features).toEqual([{ id: "L4/F43", factor: 3 }]);
    expect(files.size).toBe(0);
  });

  it("is switched off as a whole and on again, over a reload too, and its file stays as it is", async () => {
    const { choice, told, parts } = started(ready("/runs/one"));
    await choice.add(one, 0);
    const before = written(active);
    await choice.switch(false);
    expect([choice.acting, choice.state.kind, told.at(-1)]).toEqual([null, "off", null]);
    expect(choice.idle).toBe("ablation.lfp-ablation.json is switched off");
    expect([await choice.factorOf(one), written(active)]).toEqual([null, before]);
    const reloaded = new AblationChoice(parts);
    choices.push(reloaded);
    await settled();
    expect(reloaded.state.kind).toBe("off");
    await reloaded.switch(true);
    expect(reloaded.acting?.features).toEqual([{ id: "L4/F43", factor: 0 }]);
    // What is ablated while the set is off is meant to act.
    await reloaded.switch(false);
    await reloaded.add({ ...one, id: "L5/F1" }, 0);
    expect(reloaded.acting?.features.length).toBe(2);
  });

  it("applies no feature that is switched off, and changes that come at once are all kept", async () => {
    const { choice, told } = started(ready("/runs/one"));
    await choice.add(one, 0);
    await choice.add({ ...one, id: "L5/F1" }, 2);
    await choice.edit((text) => withFeature(text, "L5/F1", { on: false }));
    expect(told.at(-1)?.features).toEqual([{ id: "L4/F43", factor: 0 }]);
    expect(choice.set?.features[1]).toEqual({ id: "L5/F1", factor: 2, on: false });
    const factors = [0.1, 0.2, 0.3, 0.4];
    await Promise.all([
      ...factors.map((factor) => choice.edit((text) => withFeature(text, "L4/F43", { factor }))),
      choice.edit((text) => withFeature(text, "L5/F1", { on: true })),
      choice.edit((text) => withFeature(text, "L1/F9", { factor: 0.5 })),
    ]);
    expect(written(active)).toMatchObject({
      features: [
        { id: "L4/F43", factor: 0.4 },
        { id: "L5/F1", factor: 2 },
        { id: "L1/F9", factor: 0.5 },
      ],
    });
    expect(choice.acting?.features.map(({ factor }) => factor)).toEqual([0.4, 2, 0.5]);
  });

  it("in a folder that is read-only is refused in words that say so", async () => {
    readOnlyFolders.add("/w");
    const { choice } = started(ready("/runs/one"));
    await expect(choice.add(one, 0)).rejects.toThrow(
      "ablation.lfp-ablation.json cannot be written: its folder is read-only.",
    );
    expect(choice.set).toBeNull();
  });
});
