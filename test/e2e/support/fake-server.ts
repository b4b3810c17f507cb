/**
 * A server that answers like ours with fixed numbers, for what a real one must never do: a text that holds CRASH ends it, one that holds HANG
 * makes it stand still, one that holds NULL gets answers without sense.
 */
import { createConnection, ProposedFeatures, TextDocumentSyncKind, TextDocuments } from "vscode-languageserver/node";
import { TextDocument } from "vscode-languageserver-textdocument";
import { ReadTokens, StrongestTokens } from "../../../server/protocol/lens.ts";
import { LensStateChanged } from "../../../server/protocol/lens-state.ts";

const values: Readonly<Record<string, number>> = { great: 3.6, good: 1.4, weak: -1.3, dreadful: -3.7 };
const LIMIT = 4;

const connection = createConnection(ProposedFeatures.all, process.stdin, process.stdout);
const documents = new TextDocuments(TextDocument);

connection.onInitialize(() => ({ capabilities: { textDocumentSync: TextDocumentSyncKind.Incremental } }));
connection.onInitialized(() => {
  const info = {
    kind: "run",
    runFolder: "/runs/fake",
    runName: "fake",
    task: "sentiment",
    modelType: "none",
    layers: [],
    features: 0,
    device: "CPU",
    hasTrueReward: true,
    hasFamiliarity: true,
    hasBase: true,
    hasFitted: false,
    beta: null,
    hasFeatureStore: false,
    calibration: null,
  };
  void connection.sendNotification(LensStateChanged.method, { kind: "ready", info });
});

connection.onRequest(ReadTokens.method, (params: unknown) => {
  const { uri, version } = ReadTokens.params.parse(params);
  const text = documents.get(uri)?.getText() ?? "";
  if (text.includes("CRASH")) process.exit(1);
  if (text.includes("HANG")) for (;;);
  if (text.includes("NULL")) return null;
  const tokens = tokensOf(text);
  const passage = {
    start: 0,
    end: text.length,
    tokens: {
      starts: tokens.map(({ start }) => start),
      ends: tokens.map(({ end }) => end),
      values: tokens.map(({ value }) => value),
      unfamiliar: [],
    },
  };
  return { version, passages: [passage], unread: [], complete: true, limit: LIMIT };
});

connection.onRequest(StrongestTokens.method, (params: unknown) => {
  const { uri, version } = StrongestTokens.params.parse(params);
  const tokens = tokensOf(documents.get(uri)?.getText() ?? "").filter(({ value }) => value !== 0);
  return { version, tokens, mean: 0, count: tokens.length, unfamiliar: 0, complete: true };
});

documents.listen(connection);
connection.listen();

function tokensOf(text: string): { start: number; end: number; text: string; value: number }[] {
  return [...text.matchAll(/\s*\w+|\s*[^\s\w]+/g)].map((found) => ({
    start: found.index,
    end: found.index + found[0].length,
    text: found[0],
    value: values[found[0].trim()] ?? 0,
  }));
}
