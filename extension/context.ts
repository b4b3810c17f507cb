/**
 * State that the extension's parts share (the server, the log, what is chosen), and everything to dispose of at the
 * end.
 */
import * as vscode from "vscode";
import { Complete } from "../server/protocol/complete.ts";
import {
  ChooseRun,
  ConfigurationChanged,
  type InitializationOptions,
  type LensState,
  LensStateChanged,
  targetOf,
} from "../server/protocol/lens-state.ts";
import { AblationChoice } from "./ablation/choice.ts";
import { CompletionDocuments } from "./completions.ts";
import { EditorModels } from "./features/editor-models.ts";
import { FeatureOrder } from "./features/feature-order.ts";
import { FeaturesModel } from "./features/features-model.ts";
import { IgnoreList } from "./ignore-list.ts";
import { PairDocuments } from "./inspect-pair.ts";
import { Overlay } from "./overlay/overlay.ts";
import { SelectedParts } from "./overlay/selected-parts.ts";
import { Summaries } from "./overlay/summary.ts";
import { PagePanels } from "./pages/panels.ts";
import { ReportDocuments } from "./pages/report-documents.ts";
import { PairCountsModel } from "./pairs/pair-counts.ts";
import { runsRoots } from "./runs/runs-roots.ts";
import { RunsView } from "./runs/runs-view.ts";
import { ServerConnection } from "./server-connection.ts";
import { messageOf } from "./server-failure.ts";
import { section, serverSettings } from "./settings.ts";

/**
 * Creates each part of the extension once and holds their shared state. VS Code disposes of what it owns on
 * deactivation.
 */
export class Extension {
  readonly vscode: vscode.ExtensionContext;
  readonly log: vscode.LogOutputChannel;
  readonly ignored: IgnoreList;
  readonly server: ServerConnection;
  readonly runs: RunsView;
  readonly features: FeaturesModel;
  readonly featureOrder: FeatureOrder;
  readonly models = new EditorModels();
  readonly pages: PagePanels;
  readonly ablation: AblationChoice;
  readonly selected: SelectedParts;
  readonly overlay: Overlay;
  readonly summaries: Summaries;
  readonly pairCounts: PairCountsModel;
  readonly completions: CompletionDocuments;
  readonly pairDocuments: PairDocuments;
  readonly reports: ReportDocuments;
  readonly #lensChanged: vscode.EventEmitter<LensState>;
  #lens: LensState = { kind: "none" };
  /** Folder of the lens's run, or of the last one before two checkpoints were compared. */
  #run: string | undefined;

  /** Fires when the lens's target or its readiness changes. */
  readonly onDidChangeLens: vscode.Event<LensState>;

  constructor(context: vscode.ExtensionContext) {
    this.vscode = context;
    this.ignored = this.own(new IgnoreList(context.workspaceState));
    this.log = this.own(vscode.window.createOutputChannel("LFP Lens", { log: true }));
    this.server = new ServerConnection({
      script: context.asAbsolutePath("dist/server.js"),
      log: this.log,
      initializationOptions: () => this.#serverOptions(),
    });
    this.runs = this.own(new RunsView(this.server));
    this.features = this.own(new FeaturesModel(this.server));
    this.featureOrder = new FeatureOrder(this.features);
    this.server.onRequest(Complete, (question, token) => this.models.complete(question, token));
    this.pages = this.own(
      new PagePanels({
        context,
        log: this.log,
        hosts: async () => (await import("./pages/hosts.ts")).pageHosts(this),
      }),
    );
    this.#lensChanged = this.own(new vscode.EventEmitter<LensState>());
    this.onDidChangeLens = this.#lensChanged.event;
    this.own(this.server.onNotification(LensStateChanged, (state) => this.#setLens(state)));
    this.#tellChanges();
    this.ablation = this.own(new AblationChoice(this));
    this.selected = this.own(new SelectedParts());
    this.overlay = this.own(new Overlay(this, this.ablation));
    this.summaries = this.own(new Summaries(this, this.overlay));
    this.pairCounts = this.own(new PairCountsModel(this.server));
    this.own(this.overlay.onDidChange((document) => document ?? this.pairCounts.clear()));
    this.completions = this.own(new CompletionDocuments());
    this.pairDocuments = this.own(new PairDocuments());
    this.reports = this.own(new ReportDocuments(this.server));
  }

  get lens(): LensState {
    return this.#lens;
  }

  /**
   * Folder of the run whose features are shown: the lens's run (or the last one before two checkpoints were compared),
   * else the workspace's newest run that has features. If there is none, the server chooses a run, possibly the bundled
   * one.
   */
  async featuresRun(): Promise<string | undefined> {
    const looked = this.#run;
    if (looked !== undefined && (await this.features.hasStore(looked))) return looked;
    for (const { folder, hasProbe } of await this.runs.model.all())
      if (hasProbe && (await this.features.hasStore(folder))) return folder;
    const chosen = await this.lensRun();
    return chosen !== undefined && chosen !== looked && (await this.features.hasStore(chosen)) ? chosen : undefined;
  }

  /**
   * Folder of the lens's run, or of the last one before two checkpoints were compared. If the lens has no target, the
   * server chooses a run, possibly the bundled one.
   */
  async lensRun(): Promise<string | undefined> {
    if (this.#lens.kind !== "none") return this.#run;
    return folderOf(await this.server.request(ChooseRun, { runFolder: null }));
  }

  /** Registers `part` to be disposed of when the extension ends. */
  own<T extends vscode.Disposable>(part: T): T {
    this.vscode.subscriptions.push(part);
    return part;
  }

  #setLens(state: LensState): void {
    this.#lens = state;
    const kind = targetOf(state)?.kind;
    if (kind === undefined || kind === "run") this.#run = folderOf(state);
    this.#lensChanged.fire(state);
  }

  #tellChanges(): void {
    const tell = (): void => {
      const sent = this.server.notify(ConfigurationChanged, this.#serverOptions());
      sent.catch((error: unknown) => this.log.error(messageOf(error)));
    };
    this.own(vscode.workspace.onDidChangeWorkspaceFolders(tell));
    this.own(vscode.workspace.onDidGrantWorkspaceTrust(tell));
    this.own(this.ignored.onDidChange(tell));
    this.own(
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration(section)) tell();
      }),
    );
  }

  /** The options that the server receives at its start and after every change. */
  #serverOptions(): InitializationOptions {
    return {
      runsRoots: runsRoots(),
      trusted: vscode.workspace.isTrusted,
      settings: serverSettings(),
      ignored: this.ignored.words,
    };
  }
}

/** Folder of the lens's run, whether or not it is open yet. */
function folderOf(lens: LensState): string | undefined {
  const target = targetOf(lens);
  return target?.kind === "run" ? target.folder : undefined;
}
