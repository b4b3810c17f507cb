/** Pages as editor tabs: one per subject, restored with the window. The host remembers which subject a panel shows. */
import { randomUUID } from "node:crypto";
import * as vscode from "vscode";
import * as z from "zod";
import { FeatureId } from "../../server/protocol/ablation.ts";
import { PanelState } from "../../server/protocol/pages.ts";
import { messageOf } from "../server-failure.ts";
import { type ShownPage, showPage } from "./show-page.ts";

/** What a panel is about. */
export const PageSubject = z.discriminatedUnion("page", [
  z.object({ page: z.literal("curves"), runFolder: z.string() }),
  z.object({ page: z.literal("report"), runFolder: z.string() }),
  z.object({ page: z.literal("compare"), runFolders: z.array(z.string()).min(2) }),
  z.object({ page: z.literal("features"), runFolder: z.string() }),
  z.object({ page: z.literal("feature"), runFolder: z.string(), id: FeatureId }),
]);
export type PageSubject = z.infer<typeof PageSubject>;
export type PageName = PageSubject["page"];
export type SubjectOf<Name extends PageName> = Extract<PageSubject, { page: Name }>;

/** The host part of a page: receives the panel and answers the page's questions. */
export type PageHost<Name extends PageName> = (subject: SubjectOf<Name>, panel: PagePanel) => vscode.Disposable;

/** A panel as its host part sees it. */
export interface PagePanel extends ShownPage {
  /** Whether the next page of its kind that is opened as a preview takes the panel's place. */
  readonly isPreview: boolean;
  title(title: string): void;
  /** Shows another subject in this panel, or that subject's own panel if it has one. */
  go(subject: PageSubject): Promise<void>;
  /** Makes a preview a panel that stays. */
  keepOpen(): void;
}

export type PageHosts = { readonly [Name in PageName]: PageHost<Name> };

interface PanelsOptions {
  readonly context: vscode.ExtensionContext;
  readonly log: vscode.LogOutputChannel;
  /** Loads the host parts of all pages; called for each page, loaded with the first. */
  readonly hosts: () => Promise<PageHosts>;
}

const KEY = "lfpLens.panels";
/** Maximum number of remembered subjects of panels that may be restored; the oldest are dropped first. */
const MOST = 100;
/** Panels' ids and subjects; a preview is marked. */
const Kept = z.array(
  z.union([z.tuple([z.uuid(), PageSubject]), z.tuple([z.uuid(), PageSubject, z.literal("preview")])]),
);

/** A panel that is open, and what it shows now. */
interface OpenPanel {
  readonly id: string;
  readonly panel: vscode.WebviewPanel;
  subject: PageSubject;
  isPreview: boolean;
  title: string;
  page: ShownPage | undefined;
  host: vscode.Disposable | undefined;
}

/** How a panel is opened. */
export interface ShowOptions {
  /** Shows it in the place of the last preview, and so that the next preview takes its place. */
  readonly preview?: boolean;
}

/** Panels with pages: one per subject, brought to the front on a repeated request, restored with the window. */
export class PagePanels implements vscode.Disposable {
  readonly #options: PanelsOptions;
  readonly #open = new Set<OpenPanel>();
  readonly #serializers: readonly vscode.Disposable[];

  constructor(options: PanelsOptions) {
    this.#options = options;
    const names = PageSubject.options.map(({ shape }) => shape.page.value);
    this.#serializers = names.map((name) =>
      vscode.window.registerWebviewPanelSerializer(viewType(name), {
        deserializeWebviewPanel: async (panel, state) => await this.#restore(panel, state),
      }),
    );
  }

  /** What the panel in front shows, if one of ours is. */
  get active(): { readonly subject: PageSubject; readonly panel: PagePanel } | undefined {
    const found = [...this.#open].find(({ panel }) => panel.active);
    return found?.page === undefined ? undefined : { subject: found.subject, panel: this.#seen(found, found.page) };
  }

  /** Shows the subject's panel, opening it if needed. A subject whose preview is open is kept unless it is to be one. */
  async show(subject: PageSubject, { preview = false }: ShowOptions = {}): Promise<void> {
    const open = this.#showing(subject);
    if (open !== undefined) {
      if (!preview) this.#keepOpen(open);
      return open.panel.reveal();
    }
    const isPreview = preview && enablesPreview();
    const last = isPreview ? this.#previewOf(subject.page) : undefined;
    if (last !== undefined) return await this.#go(last, subject);
    const id = randomUUID();
    const panel = vscode.window.createWebviewPanel(viewType(subject.page), "LFP Lens", vscode.ViewColumn.Active, {
      enableFindWidget: true,
    });
    // Known at once, so that a second request for the subject, as of a double click, finds this panel.
    const opened: OpenPanel = {
      id,
      panel,
      subject,
      isPreview,
      title: "LFP Lens",
      page: undefined,
      host: undefined,
    };
    const filled = this.#fill(opened);
    await this.#remember(opened);
    await filled;
  }

  dispose(): void {
    for (const part of this.#serializers) part.dispose();
  }

  async #restore(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const id = PanelState.safeParse(state).data?.panel;
    const [, subject, mark] = this.#kept().find(([kept]) => kept === id) ?? [];
    // Nothing to show: the panel's subject is unknown, or another panel shows it already.
    if (id === undefined || subject === undefined || this.#showing(subject) !== undefined) return panel.dispose();
    const isPreview = mark === "preview" && enablesPreview();
    await this.#fill({ id, panel, subject, isPreview, title: "LFP Lens", page: undefined, host: undefined });
  }

  async #fill(open: OpenPanel): Promise<void> {
    this.#open.add(open);
    const { context, log } = this.#options;
    const { id, panel } = open;
    const hosts = await this.#options.hosts();
    const icon = (theme: string): vscode.Uri => vscode.Uri.joinPath(context.extensionUri, `media/lens-${theme}.svg`);
    panel.iconPath = { dark: icon("dark"), light: icon("light") };
    const shown = showPage(panel.webview, { context, log, page: open.subject.page, panel: id }, (page) => {
      open.page = page;
      this.#connect(open, hosts, page);
      return { dispose: () => open.host?.dispose() };
    });
    panel.onDidDispose(() => {
      this.#open.delete(open);
      shown.dispose();
    });
  }

  /** Shows another subject in a panel: a host part for it takes the place of the present one. */
  async #go(open: OpenPanel, subject: PageSubject): Promise<void> {
    const other = this.#showing(subject);
    if (other !== undefined) return other.panel.reveal();
    // Another kind of page has another script.
    if (subject.page !== open.subject.page) return await this.show(subject);
    open.subject = subject;
    open.host?.dispose();
    open.host = undefined;
    const hosts = await this.#options.hosts();
    await this.#remember(open);
    // A later request took the panel on, or nothing is shown yet: then the subject of that moment will be.
    if (open.subject !== subject || open.page === undefined) return;
    this.#connect(open, hosts, open.page);
    open.page.tell("moved", {});
    open.panel.reveal();
  }

  /** Gives a panel a host part for its subject, in the place of the one before. */
  #connect(open: OpenPanel, hosts: PageHosts, page: ShownPage): void {
    open.host?.dispose();
    open.host = connect(hosts, open.subject, this.#seen(open, page));
  }

  #keepOpen(open: OpenPanel): void {
    if (!open.isPreview) return;
    open.isPreview = false;
    this.#remember(open).then(undefined, (error: unknown) => this.#options.log.warn(messageOf(error)));
    open.panel.title = open.title;
    open.page?.tell("changed", {});
  }

  #seen(open: OpenPanel, page: ShownPage): PagePanel {
    return {
      ...page,
      get isPreview() {
        return open.isPreview;
      },
      title: (title) => {
        open.title = title;
        open.panel.title = open.isPreview ? `Preview ${title}` : title;
      },
      go: async (subject) => await this.#go(open, subject),
      keepOpen: () => this.#keepOpen(open),
    };
  }

  #showing(subject: PageSubject): OpenPanel | undefined {
    const wanted = JSON.stringify(subject);
    return [...this.#open].find((open) => JSON.stringify(open.subject) === wanted);
  }

  #previewOf(page: PageName): OpenPanel | undefined {
    return [...this.#open].find(({ isPreview, subject }) => isPreview && subject.page === page);
  }

  async #remember({ id, subject, isPreview }: OpenPanel): Promise<void> {
    const others = this.#kept().filter(([other]) => other !== id);
    const own: z.infer<typeof Kept>[number] = isPreview ? [id, subject, "preview"] : [id, subject];
    await this.#options.context.workspaceState.update(KEY, [...others, own].slice(-MOST));
  }

  #kept(): z.infer<typeof Kept> {
    return Kept.catch([]).parse(this.#options.context.workspaceState.get(KEY, []));
  }
}

function connect(hosts: PageHosts, subject: PageSubject, panel: PagePanel): vscode.Disposable {
  switch (subject.page) {
    case "curves":
      return hosts.curves(subject, panel);
    case "report":
      return hosts.report(subject, panel);
    case "compare":
      return hosts.compare(subject, panel);
    case "features":
      return hosts.features(subject, panel);
    case "feature":
      return hosts.feature(subject, panel);
  }
}

/** Whether VS Code shows previews at all. */
function enablesPreview(): boolean {
  return vscode.workspace.getConfiguration("workbench.editor").get("enablePreview") !== false;
}

function viewType(name: PageName): string {
  return `lfpLens.${name}`;
}
