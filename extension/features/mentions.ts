/**
 * Providers for mentions such as `L4/F43` in any document: a hover in languages that the server does not read, and
 * everywhere Go to Definition to a page of plain text.
 */
import { basename } from "node:path";
import * as vscode from "vscode";
import { FeatureId, featureMention } from "../../server/protocol/ablation.ts";
import { commandLink, openFeature } from "../../server/protocol/commands.ts";
import type { FeatureDetail } from "../../server/protocol/features.ts";
import type { Extension } from "../context.ts";
import { isExperiment, isReadable } from "../documents.ts";
import { plainMarkdown } from "../plain-markdown.ts";
import { messageOf } from "../server-failure.ts";
import { featureSummary } from "./feature-summary.ts";
import { featureSentence } from "./feature-text.ts";

const SCHEME = "lfp-feature";
const everywhere = [{ scheme: "file" }, { scheme: "untitled" }, { scheme: "vscode-notebook-cell" }];

interface Mention {
  readonly id: FeatureId;
  readonly range: vscode.Range;
}

interface Found extends Mention {
  readonly runFolder: string;
  readonly detail: FeatureDetail;
}

/** Hover and definition for features that any document names, such as `L4/F43`. */
export class MentionProviders implements vscode.Disposable {
  readonly #extension: Extension;
  readonly #registrations: readonly vscode.Disposable[];

  constructor(extension: Extension) {
    this.#extension = extension;
    this.#registrations = [
      vscode.languages.registerHoverProvider(everywhere, {
        provideHover: async (document, position) => await this.#hover(document, position),
      }),
      vscode.languages.registerDefinitionProvider(everywhere, {
        provideDefinition: async (document, position) => await this.#definition(document, position),
      }),
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
        provideTextDocumentContent: async (uri) => await this.#page(uri),
      }),
    ];
  }

  dispose(): void {
    for (const registration of this.#registrations) registration.dispose();
  }

  async #hover(document: vscode.TextDocument, position: vscode.Position): Promise<vscode.Hover | undefined> {
    // The server's own hover says more.
    if (isReadable(document) || isExperiment(document)) return undefined;
    const found = await this.#find(document, position);
    if (found === undefined) return undefined;
    const { runFolder, id, detail, range } = found;
    const text = new vscode.MarkdownString(plainMarkdown(featureSentence(detail.row)));
    text.appendMarkdown(`\n\n[Open](${commandLink(openFeature, { runFolder, id })})`);
    text.isTrusted = { enabledCommands: [openFeature.id] };
    return new vscode.Hover(text, range);
  }

  async #definition(document: vscode.TextDocument, position: vscode.Position): Promise<vscode.LocationLink[]> {
    const found = await this.#find(document, position);
    if (found === undefined) return [];
    const { runFolder, id, range } = found;
    // The path is for people; the provider looks up the query.
    const name = id.replaceAll(/[/:]/g, "-");
    const query = JSON.stringify({ runFolder, id });
    const targetUri = vscode.Uri.from({ scheme: SCHEME, path: `/${basename(runFolder)}/${name}.txt`, query });
    return [{ originSelectionRange: range, targetUri, targetRange: new vscode.Range(0, 0, 0, 0) }];
  }

  async #page(uri: vscode.Uri): Promise<string> {
    const place = openFeature.argument.parse(JSON.parse(uri.query));
    return featureSummary(await this.#extension.features.describe(place), basename(place.runFolder));
  }

  /**
   * Finds the mentioned feature; undefined if there is no mention, or if the run has no such feature and the text may
   * mean something else.
   */
  async #find(document: vscode.TextDocument, position: vscode.Position): Promise<Found | undefined> {
    const mention = mentionAt(document, position);
    if (mention === undefined) return undefined;
    try {
      const runFolder = await this.#extension.featuresRun();
      if (runFolder === undefined) return undefined;
      const detail = await this.#extension.features.describe({ runFolder, id: mention.id });
      return { ...mention, runFolder, detail };
    } catch (error) {
      this.#extension.log.debug(`${mention.id}: ${messageOf(error)}`);
      return undefined;
    }
  }
}

function mentionAt(document: vscode.TextDocument, position: vscode.Position): Mention | undefined {
  const range = document.getWordRangeAtPosition(position, featureMention);
  const { data: id } = FeatureId.safeParse(range === undefined ? "" : document.getText(range));
  return range === undefined || id === undefined ? undefined : { id, range };
}
