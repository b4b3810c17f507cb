import { expect, it } from "vitest";
import { EventEmitter } from "../../test/support/vscode-stub.ts";
import type { Extension } from "../context.ts";
import { FeaturesTree } from "./features-tree.ts";

const never = { onDidChange: new EventEmitter<never>().event };

/** The view of an extension whose features are those of a run. */
function treeOf(runFolder: string | undefined): FeaturesTree {
  return new FeaturesTree({
    onDidChangeLens: new EventEmitter<never>().event,
    features: { ...never, query: async () => ({ total: 0, rows: [] }) },
    runs: { model: never },
    featuresRun: async () => runFolder,
  } as unknown as Extension);
}

it.each([
  ["/w/runs/steady", "steady"],
  [undefined, undefined],
])("the view of %s tells which run its features are of", async (folder, name) => {
  const tree = treeOf(folder);
  const told: (string | undefined)[] = [];
  tree.onDidShowRun((shown) => told.push(shown));
  expect(await tree.getChildren()).toEqual([]);
  expect(told).toEqual([name]);
});
