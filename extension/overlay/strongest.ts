/** The tokens with the largest values: what the keyboard and screen readers go through, and what the summary counts. */
import type * as vscode from "vscode";
import type { z } from "zod";
import type { StrongestTokens } from "../../server/protocol/lens.ts";
import type { ServerConnection } from "../server-connection.ts";
import { readSetting } from "../settings.ts";
import type { View } from "./document-reader.ts";

export type Strongest = z.output<typeof StrongestTokens.result>;
export type StrongToken = Strongest["tokens"][number];

const MOST_LISTED = 200;

/** The last answer for each document, for as long as neither text nor view changes; whoever changes the run clears it. */
export class StrongestCache {
  readonly #server: ServerConnection;
  #known = new WeakMap<vscode.TextDocument, { readonly key: string; readonly answer: Strongest }>();

  constructor(server: ServerConnection) {
    this.#server = server;
  }

  /** What is known without asking. */
  known(document: vscode.TextDocument, view: View): Strongest | undefined {
    const found = this.#known.get(document);
    return found?.key === keyOf(document, view) ? found.answer : undefined;
  }

  /** Reads the whole document, which may take a while for a long one. */
  async ask(document: vscode.TextDocument, view: View, token?: vscode.CancellationToken): Promise<Strongest> {
    const known = this.known(document, view);
    if (known !== undefined) return known;
    const key = keyOf(document, view);
    const answer = await this.#server.request(
      (await import("../../server/protocol/lens.ts")).StrongestTokens,
      {
        uri: document.uri.toString(),
        version: document.version,
        ...view,
        limit: MOST_LISTED,
        familiarOnly: readSetting("fadeUnfamiliar"),
      },
      token,
    );
    if (answer.version === document.version) this.#known.set(document, { key, answer });
    return answer;
  }

  clear(): void {
    this.#known = new WeakMap();
  }
}

function keyOf(document: vscode.TextDocument, view: View): string {
  return JSON.stringify([document.version, view, readSetting("fadeUnfamiliar")]);
}
