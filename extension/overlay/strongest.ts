/** The tokens with the largest values, for keyboard navigation, screen readers and the summary. */
import type * as vscode from "vscode";
import type { z } from "zod";
import type { StrongestTokens } from "../../server/protocol/lens.ts";
import type { ServerConnection } from "../server-connection.ts";
import { readSetting } from "../settings.ts";
import type { Interval } from "./colour-stretches.ts";
import type { View } from "./document-reader.ts";

export type Strongest = z.output<typeof StrongestTokens.result>;
export type StrongToken = Strongest["tokens"][number];

const MOST_LISTED = 200;

/**
 * Caches the last answer for each document, valid while neither text nor view changes; a change of run must clear it.
 */
export class StrongestCache {
  readonly #server: ServerConnection;
  readonly #partsOf: (document: vscode.TextDocument) => readonly Interval[] | undefined;
  #known = new WeakMap<vscode.TextDocument, { readonly key: string; readonly answer: Strongest }>();

  /** `partsOf` gives the parts of a document that count; undefined: the whole. */
  constructor(server: ServerConnection, partsOf: (document: vscode.TextDocument) => readonly Interval[] | undefined) {
    this.#server = server;
    this.#partsOf = partsOf;
  }

  /** The cached answer, without a request. */
  known(document: vscode.TextDocument, view: View): Strongest | undefined {
    const found = this.#known.get(document);
    return found?.key === this.#keyOf(document, view) ? found.answer : undefined;
  }

  /** Requests the strongest tokens of the whole document, which may take a while for a long one. */
  async ask(
    document: vscode.TextDocument,
    view: View,
    token?: vscode.CancellationToken,
    job: string | null = null,
  ): Promise<Strongest> {
    const known = this.known(document, view);
    if (known !== undefined) return known;
    const key = this.#keyOf(document, view);
    const answer = await this.#server.request(
      (await import("../../server/protocol/lens.ts")).StrongestTokens,
      {
        uri: document.uri.toString(),
        version: document.version,
        ...view,
        parts: [...(this.#partsOf(document) ?? [])],
        limit: MOST_LISTED,
        familiarOnly: readSetting("fadeUnfamiliar"),
        job,
      },
      token,
    );
    if (answer.version === document.version) this.#known.set(document, { key, answer });
    return answer;
  }

  clear(): void {
    this.#known = new WeakMap();
  }

  #keyOf(document: vscode.TextDocument, view: View): string {
    return JSON.stringify([document.version, view, this.#partsOf(document), readSetting("fadeUnfamiliar")]);
  }
}
