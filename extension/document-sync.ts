/**
 * Decides which open documents the server knows. The client's own selector is fixed when it is created, whereas what is
 * readable changes with the settings and with what a person asks for.
 */
import * as vscode from "vscode";
import type { LanguageClient, Middleware } from "vscode-languageclient/node";
import { isForServer, onDidChangeReadable } from "./documents.ts";
import { messageOf } from "./server-failure.ts";

/** Sends the server the documents that are for it, those that become so later, and nothing of any other. */
export class DocumentSync {
  readonly #sent = new Set<string>();

  /** The client's middleware: requests and notifications about other documents are not sent. */
  get middleware(): Middleware {
    const has = ({ uri }: vscode.TextDocument): boolean => this.#sent.has(uri.toString());
    return {
      didOpen: async (document, next) => {
        const key = document.uri.toString();
        // A document that was closed while the server was down may be known from before.
        if (!isForServer(document)) this.#sent.delete(key);
        else {
          this.#sent.add(key);
          await next(document);
        }
      },
      didChange: async (change, next) => {
        if (has(change.document)) await next(change);
      },
      didClose: async (document, next) => {
        if (this.#sent.delete(document.uri.toString())) await next(document);
      },
      provideHover: async (document, position, token, next) =>
        has(document) ? await next(document, position, token) : undefined,
      provideCodeActions: async (document, range, context, token, next) =>
        has(document) ? await next(document, range, context, token) : [],
    };
  }

  /** Opens and closes documents for a running server when others than before are readable. */
  follow(client: LanguageClient, log: vscode.LogOutputChannel): vscode.Disposable {
    return onDidChangeReadable(() => {
      for (const document of vscode.workspace.textDocuments)
        this.#settle(client, document)?.catch((error: unknown) => log.warn(messageOf(error)));
    });
  }

  #settle(client: LanguageClient, document: vscode.TextDocument): Promise<void> | undefined {
    const key = document.uri.toString();
    if (!client.isRunning() || isForServer(document) === this.#sent.has(key)) return undefined;
    const { code2ProtocolConverter: converter } = client;
    if (this.#sent.delete(key))
      return client.sendNotification("textDocument/didClose", converter.asCloseTextDocumentParams(document));
    this.#sent.add(key);
    return client.sendNotification("textDocument/didOpen", converter.asOpenTextDocumentParams(document));
  }
}
