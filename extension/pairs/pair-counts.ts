/** How many pairs of each document the server has read, as it tells from time to time. */
import * as vscode from "vscode";
import { type PairCounts, PairsRead } from "../../server/protocol/pairs.ts";
import type { ServerConnection } from "../server-connection.ts";

export class PairCountsModel implements vscode.Disposable {
  readonly #known = new Map<string, { readonly version: number; readonly counts: PairCounts }>();
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #subscriptions: vscode.Disposable[];

  readonly onDidChange = this.#changed.event;

  constructor(server: ServerConnection) {
    this.#subscriptions = [
      server.onNotification(PairsRead, ({ uri, version, counts }) => {
        this.#known.set(uri, { version, counts });
        this.#changed.fire();
      }),
      vscode.workspace.onDidCloseTextDocument(({ uri }) => this.#known.delete(uri.toString())),
    ];
  }

  /** The counts of the document's current version; undefined if none of its pairs was read. */
  of(document: vscode.TextDocument): PairCounts | undefined {
    const found = this.#known.get(document.uri.toString());
    return found?.version === document.version ? found.counts : undefined;
  }

  /** Forgets all counts, which were of another view. */
  clear(): void {
    this.#known.clear();
    this.#changed.fire();
  }

  dispose(): void {
    for (const part of this.#subscriptions) part.dispose();
    this.#changed.dispose();
  }
}
