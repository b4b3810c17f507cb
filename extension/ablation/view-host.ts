/** The host part of the view of the active ablation set; loaded when the view is first shown. */
import * as vscode from "vscode";
import { type FeatureId, parseFeatureId, type WrittenAblation } from "../../server/protocol/ablation.ts";
import {
  AblationPage,
  type AblationView,
  type ListedFeature,
  MOST_LISTED,
} from "../../server/protocol/ablation-page.ts";
import type { FeatureRow } from "../../server/protocol/features.ts";
import type { RunView } from "../../server/protocol/runs.ts";
import type { Extension } from "../context.ts";
import { measureFeatures } from "../features/feature-actions.ts";
import { nameOf as nameOfLooked } from "../looked-through.ts";
import type { ShownPage } from "../pages/show-page.ts";
import { withAllRestored, withFeature, withoutFeature } from "./file.ts";
import { changedBy, Measurements, type PlacedSet } from "./measurements.ts";
import { nameOf } from "./set-file.ts";
import { openRunOfSet, runOfSet } from "./set-run.ts";

/** Answers the page's questions about the active set, and tells it of changes. */
export function ablationHost(extension: Extension, page: ShownPage): vscode.Disposable {
  const { ablation } = extension;
  const set = new ViewedSet(extension);
  const done = async (doing: PromiseLike<unknown>) => {
    await doing;
    return {};
  };
  const run = (command: `lfpLens.${string}`) => async () => await done(vscode.commands.executeCommand(command));
  page.answer(AblationPage, {
    open: async () => await set.view(),
    scale: async ({ id, factor }) => await done(ablation.edit((text) => withFeature(text, id, { factor }))),
    switch: async ({ id, on }) => await done(ablation.edit((text) => withFeature(text, id, { on }))),
    switchAll: async ({ on }) => await done(ablation.switch(on)),
    restoreAll: async () => await done(ablation.edit(withAllRestored)),
    remove: async ({ id }) => await done(ablation.edit((text) => withoutFeature(text, id))),
    add: run("lfpLens.ablateFeature"),
    measure: async () => await done(set.measure()),
    openFeature: async ({ id }) => await done(set.openFeature(id)),
    openFile: run("lfpLens.openAblation"),
    choose: run("lfpLens.chooseAblation"),
    openRun: async () => await done(openRunOfSet(extension)),
    bind: async () => await done(ablation.bind()),
  });
  return vscode.Disposable.from(
    set,
    set.onDidChange(() => page.tell("changed", {})),
  );
}

/** The active set with what its run says of its features, and what was measured of it. */
class ViewedSet implements vscode.Disposable {
  readonly #extension: Extension;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #listening: vscode.Disposable;
  /** Rows of the features by run folder and id. */
  readonly #rows = new Map<string, FeatureRow | undefined>();
  readonly #measurements: Measurements;

  /** Fires when the page should request the set again. */
  readonly onDidChange = this.#changed.event;

  constructor(extension: Extension) {
    this.#extension = extension;
    this.#measurements = new Measurements(extension.vscode.workspaceState);
    const tell = (): void => this.#changed.fire();
    this.#listening = vscode.Disposable.from(
      this.#changed,
      extension.ablation.onDidChange(tell),
      extension.onDidChangeLens(tell),
      extension.features.onDidChange(() => {
        this.#rows.clear();
        tell();
      }),
    );
  }

  async view(): Promise<AblationView> {
    const { ablation, lens } = this.#extension;
    const { set, state, uri, problem } = ablation;
    const run = set === null ? undefined : await runOfSet(this.#extension, set);
    const written = set?.features ?? [];
    const features = await Promise.all(written.slice(0, MOST_LISTED).map((feature) => this.#listed(feature, run)));
    const isPlaced = uri !== undefined && set !== null && run !== undefined;
    return {
      status: problem === undefined ? state.kind : "broken",
      file: uri === undefined ? null : nameOf(uri),
      problem: problem ?? null,
      run: set?.run === undefined ? null : { name: set.run.name, isAtHand: run !== undefined },
      looked: lens.kind === "ready" ? nameOfLooked(lens.info) : null,
      features,
      more: Math.max(0, written.length - MOST_LISTED),
      measured: isPlaced ? this.#measurements.of({ uri, set, run }) : null,
      hasFolder: (vscode.workspace.workspaceFolders ?? []).length > 0,
    };
  }

  async openFeature(id: FeatureId): Promise<void> {
    const { run } = await this.#place();
    await this.#extension.pages.show({ page: "feature", runFolder: run.folder, id }, { preview: true });
  }

  /** Measures the set with its controls; what a person cancels leaves the last measurement as it is. */
  async measure(): Promise<void> {
    const placed = await this.#place();
    const features = changedBy(placed.set);
    if (features.length === 0)
      throw new Error("No feature of the set is changed: give one a factor other than 1, and switch it on.");
    const effects = await measureFeatures(this.#extension, placed.run.folder, features, "the ablation set");
    if (effects !== undefined) await this.#measurements.add(placed, effects);
    this.#changed.fire();
  }

  dispose(): void {
    this.#listening.dispose();
  }

  /** The set with its file and its run. Throws if there is no set, or if its run is not at hand. */
  async #place(): Promise<PlacedSet> {
    const { set, uri } = this.#extension.ablation;
    if (set === null || uri === undefined) throw new Error("No ablation set is active.");
    const run = await runOfSet(this.#extension, set);
    if (run === undefined)
      throw new Error(`The run of the set, ${set.run?.name ?? "which it does not name"}, is not in this workspace.`);
    return { set, uri, run };
  }

  async #listed(
    { id, factor, on }: WrittenAblation["features"][number],
    run: RunView | undefined,
  ): Promise<ListedFeature> {
    const row = run === undefined ? undefined : await this.#row(run.folder, id);
    return {
      ...{ id, factor, on: on !== false },
      explanation: row?.explanation?.text ?? null,
      contribution: row?.contribution ?? null,
    };
  }

  async #row(runFolder: string, id: FeatureId): Promise<FeatureRow | undefined> {
    const key = `${runFolder} ${id}`;
    if (this.#rows.has(key)) return this.#rows.get(key);
    const place = parseFeatureId(id);
    if (place === undefined) return undefined;
    const { model, size } = place;
    const query = { search: id, dictionary: { model, size }, includeDead: true };
    // A run without a feature store still has factors to set.
    const found = await this.#extension.features
      .query(runFolder, query, { offset: 0, count: 1 })
      .catch(() => ({ rows: [] }));
    this.#rows.set(key, found.rows[0]);
    return found.rows[0];
  }
}
