/** The host part of the view of the active ablation set; loaded when the view is first shown. */
import * as vscode from "vscode";
import { type FeatureId, parseFeatureId, switchedOn, type WrittenAblation } from "../../server/protocol/ablation.ts";
import {
  AblationPage,
  type AblationView,
  type ListedFeature,
  MOST_LISTED,
} from "../../server/protocol/ablation-page.ts";
import type { FeatureRow, MeasuredEffect } from "../../server/protocol/features.ts";
import type { RunView } from "../../server/protocol/runs.ts";
import type { Extension } from "../context.ts";
import { measureFeatures } from "../features/feature-actions.ts";
import { nameOf as nameOfLooked } from "../looked-through.ts";
import type { ShownPage } from "../pages/show-page.ts";
import { withAllRestored, withFeature, withoutFeature } from "./file.ts";
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

/** The active set with what its run says of its features, and its last measurement. */
class ViewedSet implements vscode.Disposable {
  readonly #extension: Extension;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #listening: vscode.Disposable;
  /** Rows of the features by run folder and id. */
  readonly #rows = new Map<string, FeatureRow | undefined>();
  #measured: { readonly of: string; readonly effects: readonly MeasuredEffect[] } | undefined;

  /** Fires when the page should request the set again. */
  readonly onDidChange = this.#changed.event;

  constructor(extension: Extension) {
    this.#extension = extension;
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
    const measured = this.#measured;
    return {
      status: problem === undefined ? state.kind : "broken",
      file: uri === undefined ? null : nameOf(uri),
      problem: problem ?? null,
      run: set?.run === undefined ? null : { name: set.run.name, isAtHand: run !== undefined },
      looked: lens.kind === "ready" ? nameOfLooked(lens.info) : null,
      features,
      more: Math.max(0, written.length - MOST_LISTED),
      measured:
        measured === undefined || set === null
          ? null
          : { effects: [...measured.effects], isCurrent: measured.of === measuredOf(set, run) },
      hasFolder: (vscode.workspace.workspaceFolders ?? []).length > 0,
    };
  }

  async openFeature(id: FeatureId): Promise<void> {
    const { runFolder } = await this.#place();
    await this.#extension.pages.show({ page: "feature", runFolder, id }, { preview: true });
  }

  /** Measures the set with its controls; what a person cancels leaves the last measurement as it is. */
  async measure(): Promise<void> {
    const { set, runFolder, run } = await this.#place();
    const features = changed(set);
    if (features.length === 0)
      throw new Error("No feature of the set is changed: give one a factor other than 1, and switch it on.");
    const of = measuredOf(set, run);
    const effects = await measureFeatures(this.#extension, runFolder, features, "the ablation set");
    if (effects !== undefined) this.#measured = { of, effects };
    this.#changed.fire();
  }

  dispose(): void {
    this.#listening.dispose();
  }

  /** The set and the folder of its run. Throws if there is no set, or if its run is not at hand. */
  async #place(): Promise<{ readonly set: WrittenAblation; readonly run: RunView; readonly runFolder: string }> {
    const { set } = this.#extension.ablation;
    if (set === null) throw new Error("No ablation set is active.");
    const run = await runOfSet(this.#extension, set);
    if (run === undefined)
      throw new Error(`The run of the set, ${set.run?.name ?? "which it does not name"}, is not in this workspace.`);
    return { set, run, runFolder: run.folder };
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

/** The features whose activations a set changes. */
function changed(set: WrittenAblation) {
  return switchedOn(set).features.filter(({ factor }) => factor !== 1);
}

/** What a measurement is of: these factors in this run. */
function measuredOf(set: WrittenAblation, run: RunView | undefined): string {
  return JSON.stringify([run?.folder, changed(set)]);
}
