/** Shows a page in a webview, which a tab or a view of the side bar holds, and answers its questions. */
import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import { type AskHandlers, type AskSchemas, answering } from "../../server/protocol/pages.ts";
import { pageHtml } from "./html.ts";

/** A page as its host part sees it. */
export interface ShownPage {
  /** Sets the handlers that answer the page's questions from now on. */
  answer<Asks extends AskSchemas>(page: { readonly asks: Asks }, handlers: AskHandlers<Asks>): void;
  /** Sends news to the page; a hidden page requests everything again when it is shown. */
  tell(name: string, data: unknown): void;
}

interface PageOptions {
  readonly context: vscode.ExtensionContext;
  readonly log: vscode.LogOutputChannel;
  /** Name of the page's script. */
  readonly page: string;
  /** The host's id of the panel. */
  readonly panel: string;
}

/** Fills a webview with a page. `host` is the page's host part; the result ends both. */
export function showPage(
  webview: vscode.Webview,
  { context, log, page, panel }: PageOptions,
  host: (shown: ShownPage) => vscode.Disposable,
): vscode.Disposable {
  const files = vscode.Uri.joinPath(context.extensionUri, "dist/webviews");
  const file = (name: string): string => webview.asWebviewUri(vscode.Uri.joinPath(files, name)).toString();
  webview.options = {
    enableScripts: true,
    enableForms: false,
    enableCommandUris: false,
    localResourceRoots: [files],
  };
  let answer = answering({ asks: {} }, {});
  const listening = webview.onDidReceiveMessage(async (raw: unknown) => {
    const reply = await answer(raw);
    if ("refused" in reply) log.warn(`page ${page}: a message was dropped: ${reply.refused}`);
    else await webview.postMessage(reply);
  });
  const hosted = host({
    answer: (type, handlers) => {
      answer = answering(type, handlers);
    },
    tell: (name, data) => void webview.postMessage({ kind: "tell", name, data }),
  });
  webview.html = pageHtml({
    title: "LFP Lens",
    panel,
    nonce: randomBytes(18).toString("base64url"),
    cspSource: webview.cspSource,
    script: file(`${page}.js`),
    style: file("page.css"),
    codicons: file("codicon.css"),
  });
  return vscode.Disposable.from(listening, hosted);
}
