/** A comparison of three runs, two of which differ by seed alone, and a host that shows it. */
import type { ComparePage } from "../../server/protocol/compare-page.ts";
import type { RunComparison } from "../../server/protocol/comparison.ts";
import type { AskHandlers } from "../../server/protocol/pages.ts";
import { logLines } from "./fake-curves.ts";

const run = (name: string, seed: number, missing: readonly string[] = []) => ({
  folder: `/w/runs/${name}`,
  name,
  seed,
  state: "done",
  missing: [...missing],
});

export const comparison: RunComparison = {
  runs: [
    run("quick-seed1", 1),
    run("quick-seed2", 2, ["It is interrupted; not finished: ablate, report."]),
    run("steady", 1),
  ],
  seedGroups: [[0, 1]],
  settings: [
    { name: "seed", values: ["1", "2", "1"] },
    { name: "tuning.kl.coefficient", values: ["0.2", "0.2", "0.1"] },
    { name: "data.source.file", values: [null, null, '/w/<img src=x onerror="document.title=1">.jsonl'] },
  ],
  findings: [
    {
      id: "gain",
      name: "reward gained by tuning",
      unit: "",
      better: "higher",
      values: [
        { value: 0.4082, low: 0.35, high: 0.47 },
        { value: 0.3667, low: 0.31, high: 0.42 },
        { value: -0.0213, low: -0.08, high: 0.04 },
      ],
      overSeeds: [{ count: 2, mean: 0.38745, sd: 0.0293, low: 0.1238, high: 0.6511 }],
    },
    {
      id: "kl",
      name: "KL to the base",
      unit: "nats a completion",
      better: null,
      values: [{ value: 2.1, low: null, high: null }, null, { value: 1.2, low: 1, high: 1.4 }],
      overSeeds: [null],
    },
  ],
  notes: ["Different versions of the code computed probe (3 in quick-seed1, 4 in steady)."],
};

/** The runs' logs have 60, 30 and no steps; every second step of the second is missing. */
export function compareHost(): AskHandlers<typeof ComparePage.asks> & { asked: unknown[] } {
  const logs = [logLines(60), logLines(30).filter(({ step }) => Number(step) % 2 === 1), []];
  const asked: unknown[] = [];
  const saved = async (what: unknown) => {
    asked.push(what);
    return { saved: true };
  };
  return {
    asked,
    open: async () => comparison,
    series: async ({ run: at, offset }) => ({ offset: logs[at]?.length ?? 0, lines: (logs[at] ?? []).slice(offset) }),
    save: saved,
    saveComparison: saved,
    showDifference: async (what) => {
      asked.push(what);
      return {};
    },
    openReport: async (what) => {
      asked.push(what);
      return {};
    },
  };
}
