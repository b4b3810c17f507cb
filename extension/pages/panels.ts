/** Pages as editor tabs: one per subject, restored with the window. The host remembers which subject a panel shows. */
import { randomUUID } from "node:crypto";
import * as vscode from "vscode";
import * as z from "zod";
import { FeatureId } from "../../server/protocol/ablation.ts";
import { PanelState } from "../../server/protocol/pages.ts";
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
  title(title: string): void;
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
const Kept = z.array(z.tuple([z.uuid(), PageSubject]));

/** Panels with pages: one per subject, brought to the front on a repeated request, restored with the window. */
export class PagePanels implements vscode.Disposable {
  readonly #options: PanelsOptions;
  readonly #open = new Map<string, vscode.WebviewPanel>();
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

  /** Shows the subject's panel, opening it if needed. */
  async show(subject: PageSubject): Promise<void> {
    const open = this.#open.get(JSON.stringify(subject));
    if (open !== undefined) return open.reveal();
    const id = randomUUID();
    const kept = [...this.#kept(), [id, subject] satisfies [string, PageSubject]].slice(-MOST);
    await this.#options.context.workspaceState.update(KEY, kept);
    const panel = vscode.window.createWebviewPanel(viewType(subject.page), "LFP Lens", vscode.ViewColumn.Active, {
      enableFindWidget: true,
    });
    await this.#fill(panel, subject, id);
  }

  dispose(): void {
    for (const part of this.#serializers) part.dispose();
  }

  async #restore(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const id = PanelState.safeParse(state).data?.panel;
    const subject = this.#kept().find(([kept]) => kept === id)?.[1];
    // Nothing to show: the panel's subject is unknown, or another panel shows it already.
    if (id === undefined || subject === undefined || this.#open.has(JSON.stringify(subject))) return panel.dispose();
    await this.#fill(panel, subject, id);
  }

  async #fill(panel: vscode.WebviewPanel, subject: PageSubject, id: string): Promise<void> {
    this.#open.set(JSON.stringify(subject), panel);
    const { context, log } = this.#options;
    const hosts = await this.#options.hosts();
    const icon = (theme: string): vscode.Uri => vscode.Uri.joinPath(context.extensionUri, `media/lens-${theme}.svg`);
    panel.iconPath = { dark: icon("dark"), light: icon("light") };
    const shown = showPage(panel.webview, { context, log, page: subject.page, panel: id }, (page) =>
      connect(hosts, subject, {
        ...page,
        title: (title) => {
          panel.title = title;
        },
      }),
    );
    panel.onDidDispose(() => {
      this.#open.delete(JSON.stringify(subject));
      shown.dispose();
    });
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

function viewType(name: PageName): string {
  return `lfpLens.${name}`;
}
