/** A report for its page to show, with every kind of figure and texts that must stay texts. */
import { Report, type ReportFigure } from "../../server/protocol/report.ts";

const source = { run: "demo", stage: "probe", key: "0123456789abcdef", seed: 7 };
export const hostile = "<script>document.title='hit'</script><img src=x onerror=alert(1)> [x](command:quit)";

const figures: ReportFigure[] = [
  {
    kind: "bars",
    id: "figure-divergence",
    title: "Divergence by layer",
    source,
    notes: [],
    x: "layer",
    y: "L2 distance",
    categories: ["0", "1", "2"],
    groups: [
      { name: "studied", values: [null, 0.4, 0.9] },
      { name: "not studied", values: [0.1, null, null] },
    ],
  },
  {
    kind: "points",
    id: "figure-predicted-true",
    title: "Predicted against true",
    source,
    notes: ["A point is a word."],
    x: "true reward",
    y: "predicted reward",
    diagonal: true,
    groups: [
      {
        name: "by triple",
        points: Array.from({ length: 200 }, (_, at) => ({ x: Math.sin(at) * 3, y: Math.sin(at) * 2, label: `w${at}` })),
      },
      { name: "by word", points: [{ x: -1, y: 1, label: hostile }] },
    ],
  },
  {
    kind: "intervals",
    id: "figure-ablation",
    title: "Ablation",
    source,
    notes: [],
    x: "change of mean reward",
    rows: [
      { label: "these features", value: -0.2, low: -0.3, high: -0.1, control: false },
      { label: "random sets", value: 0.01, low: -0.05, high: 0.07, control: true },
    ],
  },
];

export const report = Report.parse({
  format: 1,
  run: "demo",
  seed: 7,
  about: [
    { name: "model", value: "owner/model" },
    { name: "data", value: hostile },
  ],
  summary: ["Tuning raised the mean reward.", "Removing 1-2 features changes it by -0.04 (-0.12 to 0.04)."],
  sections: [
    { title: "Figures", text: ["What was found."], tables: [], figures },
    {
      title: "Tables",
      text: [],
      tables: [
        {
          id: "t",
          title: "Signs",
          source,
          columns: ["", "share"],
          rows: [
            ["probe", 81.234],
            ["paper, Pythia-70m", null],
            [hostile, 1],
          ],
          notes: ["A note."],
        },
      ],
    },
    {
      title: "Measured after the run",
      text: ["These ablations are no part of the run; `lfp ablate` measured them."],
      afterRun: true,
      tables: [
        {
          id: "later-1-reward",
          title: "1. L4/F43 removed: reward",
          source: { ...source, measuredAfter: "2026-11-26T05:41:06.123Z" },
          columns: ["", "mean reward"],
          rows: [["features removed", 1.5]],
          notes: [],
        },
      ],
      figures: [],
    },
  ],
});
