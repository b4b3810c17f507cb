import { expect, it } from "vitest";
import type { WrittenAblation } from "../../server/protocol/ablation.ts";
import type { AblationPage } from "../../server/protocol/ablation-page.ts";
import type { MeasuredEffect } from "../../server/protocol/features.ts";
import type { AskHandlers } from "../../server/protocol/pages.ts";
import { EventEmitter, Uri } from "../../test/support/vscode-stub.ts";
import type { Extension } from "../context.ts";
import type { ShownPage } from "../pages/show-page.ts";
import { Measurements, type PlacedSet } from "./measurements.ts";
import { ablationHost } from "./view-host.ts";

type Memory = ConstructorParameters<typeof Measurements>[0];

const run = { name: "one", folder: "/runs/one", dictionaries: "d1", hasProbe: true };
const set: WrittenAblation = {
  ...{ format: "lfp-ablation/1", name: "", note: "", run: { name: "one", dictionaries: "d1" } },
  features: [{ id: "L4/F43", factor: 0 }],
};
const effects: MeasuredEffect[] = [{ what: "this", factor: 0, prompts: 256, change: -0.2, low: -0.3, high: -0.1 }];

/** What the view's page is shown of a set in a window that has just been opened. */
async function shownOf(workspaceState: Memory, path: string) {
  const changes = new EventEmitter<undefined>();
  const extension = {
    vscode: { workspaceState },
    ablation: { set, uri: Uri.file(path), state: { kind: "acts" }, onDidChange: changes.event },
    lens: { kind: "none" },
    onDidChangeLens: changes.event,
    features: { onDidChange: changes.event, query: async () => ({ rows: [] }) },
    runs: { model: { all: async () => [run], bundled: null } },
  } as unknown as Extension;
  const answered: AskHandlers<typeof AblationPage.asks>[] = [];
  const page = {
    answer: (_: unknown, handlers: AskHandlers<typeof AblationPage.asks>) => void answered.push(handlers),
    tell: () => undefined,
  } as unknown as ShownPage;
  const host = ablationHost(extension, page);
  const view = await answered[0]?.open({});
  host.dispose();
  return view?.measured;
}

it("shows the last measurement of the set again after a reload, and none of another set", async () => {
  const kept = new Map<string, unknown>();
  const memory: Memory = {
    get: <T>(key: string) => kept.get(key) as T,
    update: async (key, value) => void kept.set(key, value),
  };
  const placed = { uri: Uri.file("/w/praise.lfp-ablation.json"), set, run } as unknown as PlacedSet;
  await new Measurements(memory).add(placed, effects);
  expect(await shownOf(memory, "/w/praise.lfp-ablation.json")).toEqual({ effects, isCurrent: true });
  expect(await shownOf(memory, "/w/other.lfp-ablation.json")).toBeNull();
});
