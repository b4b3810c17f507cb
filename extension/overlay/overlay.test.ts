/** The colours and the list beside them, as the lens and the mode change, over a text of one line. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { LensState } from "../../server/protocol/lens-state.ts";
import { runInfo } from "../../test/support/lens-info.ts";
import {
  EventEmitter,
  Position,
  type Range,
  ThemeColor,
  ThemeIcon,
  type TreeItem,
  treeProviders,
  Uri,
  window,
} from "../../test/support/vscode-stub.ts";
import type { AblationChoice } from "../ablation/choice.ts";
import type { Extension } from "../context.ts";
import { ServerFailure } from "../server-failure.ts";
import { Overlay } from "./overlay.ts";
import { createReadingView } from "./reading-view.ts";
import { Summaries } from "./summary.ts";

const text = "a dull film, an okay cast";
const words = text.split(/(?<= )/);
const starts = words.map((_, at) => words.slice(0, at).join("").length);
/** From strong to so weak that it has no colour. */
const values = [0, -2, 0.9, 0, 0.1, 2];
const limit = 2;

const document = {
  uri: Uri.parse("untitled:a"),
  languageId: "plaintext",
  version: 1,
  lineCount: 1,
  getText: ({ start, end }: Range) => text.slice(start.character, end.character),
  positionAt: (offset: number) => new Position(0, Math.min(offset, text.length)),
  offsetAt: ({ character }: Position) => Math.min(character, text.length),
  validatePosition: ({ character }: Position) => new Position(0, Math.min(character, text.length)),
  lineAt: () => ({ range: { end: new Position(0, text.length) } }),
};

/** The words that are coloured, as they stand in the editor. */
function editorOf(document: object) {
  const shown = new Map<unknown, readonly Range[]>();
  const editor = {
    document,
    visibleRanges: [{ start: new Position(0, 0), end: new Position(0, text.length) }],
    setDecorations: (kind: unknown, ranges: readonly Range[]) => void shown.set(kind, ranges),
  };
  const coloured = () =>
    [...shown.values()].flatMap((ranges) => ranges.map(({ start, end }) => text.slice(start.character, end.character)));
  return { editor, coloured };
}

const ready: LensState = { kind: "ready", info: runInfo };
const { editor, coloured } = editorOf(document);
let overlay: Overlay;
let tell: (state: LensState) => void;

beforeEach(() => {
  const lensChanged = new EventEmitter<LensState>();
  const ablation = { onDidChange: new EventEmitter<void>().event, acting: null, state: { kind: "none" } };
  const read = () => ({ version: 1, limit, complete: true, unread: [], pairs: [], passages: [passage] });
  const passage = {
    start: 0,
    end: text.length,
    tokens: { starts, ends: [...starts.slice(1), text.length], values, unfamiliar: [] },
  };
  const strongest = () => ({
    version: 1,
    tokens: starts.map((start, at) => ({
      start,
      end: start + (words[at]?.length ?? 0),
      text: words[at] ?? "",
      value: values[at] ?? 0,
    })),
    ...{ mean: 0.1, count: values.length, unfamiliar: 0, complete: true },
  });
  const extension = {
    lens: ready,
    onDidChangeLens: lensChanged.event,
    log: { error: () => undefined, warn: () => undefined },
    selected: { onDidChange: new EventEmitter<void>().event, of: () => undefined },
    ablation,
    server: {
      onDidChangeState: new EventEmitter<void>().event,
      notify: async () => undefined,
      request: async ({ method }: { readonly method: string }) => {
        const { lens } = extension;
        if (lens.kind === "failed") throw new ServerFailure(lens.failure, undefined);
        return method === "lfp/readTokens" ? read() : strongest();
      },
    },
  } as unknown as Extension;
  tell = (state) => {
    Object.assign(extension, { lens: state });
    lensChanged.fire(state);
  };
  Object.assign(window, { visibleTextEditors: [editor], activeTextEditor: editor });
  overlay = new Overlay(extension, ablation as unknown as AblationChoice);
  Object.assign(extension, { overlay, summaries: new Summaries(extension, overlay) });
  createReadingView(extension);
});
afterEach(() => {
  overlay.dispose();
  Object.assign(window, { visibleTextEditors: [], activeTextEditor: undefined });
});

interface Provider {
  getTreeItem(node: unknown): TreeItem;
  getChildren(node?: unknown): unknown[];
}

/** The rows of the Reading view below one, with what stands in them. */
function rows(below?: unknown): { readonly node: unknown; readonly item: TreeItem }[] {
  const provider = treeProviders.get("lfpLens.reading") as Provider;
  return provider.getChildren(below).map((node) => ({ node, item: provider.getTreeItem(node) }));
}

it("a run that cannot be opened leaves no colour, no mean and no list of the run before it", async () => {
  overlay.show("auto");
  await vi.waitFor(() => expect(coloured()).toEqual(expect.arrayContaining(["dull", "cast"])));
  expect(rows().map(({ item }) => item.label)).toEqual(["Scale", "Means", "Strongest words"]);
  const failure = { code: "input", message: "no weights" } as const;
  tell({ kind: "failed", target: { kind: "run", folder: "/runs/broken" }, failure });
  expect(coloured()).toEqual([]);
  await vi.waitFor(() => expect(rows()).toEqual([]));
  expect(coloured()).toEqual([]);
  tell(ready);
  await vi.waitFor(() => expect(coloured()).toContain("dull"));
});

it("a word without a colour has a ring in the list, where a dot would look like the strongest", async () => {
  overlay.show({ kind: "implicit" });
  await vi.waitFor(() => expect(rows().at(-1)?.item.collapsibleState).toBe(2));
  const listed = rows(rows().at(-1)?.node);
  const icons = new Map(listed.map(({ item }) => [item.label.replaceAll(/[\u2066-\u2069]/g, ""), item.iconPath]));
  expect(icons.get("okay")).toEqual(new ThemeIcon("circle-outline"));
  expect(icons.get("dull")).toEqual(new ThemeIcon("circle-filled", new ThemeColor("lfpLens.negative4")));
  expect(
    [...icons.values()].every(
      (icon) => icon instanceof ThemeIcon && (icon.id === "circle-outline") === (icon.color === undefined),
    ),
  ).toBe(true);
});

it("a part of the list stays open or closed as the mode changes, since it keeps its name", async () => {
  const ids = async (kind: "implicit" | "kl"): Promise<unknown[]> => {
    overlay.show({ kind });
    await vi.waitFor(() => expect(rows()).toHaveLength(3));
    return rows().map(({ item }) => item.id);
  };
  const first = await ids("implicit");
  expect(first).toEqual(["scale", "means", "strongest"]);
  expect(await ids("kl")).toEqual(first);
});
