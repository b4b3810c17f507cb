/** A feature for its page to show, and a host that keeps what is done to it. */
import type { FeaturePage } from "../../server/protocol/feature-pages.ts";
import type { FeatureDetail, Neighbours } from "../../server/protocol/features.ts";
import type { AskHandlers } from "../../server/protocol/pages.ts";
import { fakeDetail, fakeRows } from "./fake-features.ts";

const [, , , , row] = fakeRows(5);
if (row === undefined) throw new Error("there are five rows");
export const usual = fakeDetail({ ...row, id: "L4/F43", contribution: 0.61, labels: ["praise"] });

export function featureHost(detail: FeatureDetail = usual) {
  const asked: unknown[] = [];
  let ablatedBy: number | null = null;
  let current = detail;
  let isPreview = true;
  let neighbours: Neighbours = { at: 3, total: 640, previous: "L0/F1", next: "L2/F7" };
  const note = (name: string) => async (params: object) => {
    asked.push({ name, ...params });
    return {};
  };
  const handlers: AskHandlers<typeof FeaturePage.asks> = {
    open: async () => ({ runName: "demo", detail: current, ablatedBy, neighbours, isPreview }),
    go: async ({ id }) => {
      asked.push({ name: "go", id });
      current = { ...current, row: { ...current.row, id } };
      neighbours = { at: 4, total: 640, previous: "L4/F43", next: null };
      return {};
    },
    keepOpen: async () => {
      isPreview = false;
      return {};
    },
    openSource: note("openSource"),
    openFeature: note("openFeature"),
    annotate: async ({ id: _, note: text, ...change }) => {
      asked.push({ name: "annotate", ...change, ...(text === undefined ? {} : { note: text }) });
      const labels = change.labels ?? current.row.labels;
      const pinned = change.pinned ?? current.row.pinned;
      current = { ...current, row: { ...current.row, labels, pinned, hasNote: text !== undefined && text !== "" } };
      return current.row;
    },
    tryText: async ({ text }) => ({
      tokens: [text.slice(0, 4), text.slice(4)],
      activations: [0, 4.5],
      peak: 1,
      source: "own",
    }),
    explain: note("explain"),
    ablate: async ({ factor }) => {
      ablatedBy = factor;
      return {};
    },
    measure: note("measure"),
    compare: note("compare"),
  };
  return { asked, handlers };
}
