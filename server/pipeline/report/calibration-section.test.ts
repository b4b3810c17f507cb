import { expect, it } from "vitest";
import { calibration, power } from "../../../test/support/lens-info.ts";
import type { CalibrationResult } from "../../calibration/calibrate.ts";
import { calibrationFinding, calibrationSections, withCalibration } from "./calibration-section.ts";
import { renderMarkdown } from "./document.ts";

const unmeasured = { threshold: null, found: { count: null, of: 10 }, falsePositives: null };
const source = { run: "demo", stage: "calibrate", key: "0123456789abcdef", seed: 1 };

it("says that nothing is flagged where there was no null tuning, and not that nothing was found", () => {
  const words = power(0.9, 0.8, unmeasured);
  const none = { ...calibration("logRatio", { logRatio: words }), nulls: 0 };
  const group = { name: "20 places", by: "frequency", words: 3, auroc: 0.9, found: null, right: 3 } as const;
  const verdict = { centred: 0.4, above: 0.9, flagged: null };
  const word = {
    tuning: "set1",
    word: "good",
    rating: 1.9,
    planted: -1.9,
    places: 20,
    readings: { logRatio: verdict },
  };
  const result: CalibrationResult = {
    readings: { logRatio: { words, places: null, control: null, othersFlagged: null, groups: [group] } },
    best: "logRatio",
    words: 100,
    planted: [word],
    moved: true,
  };
  expect(calibrationFinding(none, result)[0]).toBe(
    "The log-ratio finds planted words best: it has the planted sign at 7 of 10; how many it flags was not measured: without null tunings (--nulls) there is no threshold.",
  );
  const sections = calibrationSections(none, result, source, -1);
  const tables = sections.flatMap((section) => section.tables);
  expect(tables[0]?.rows[0]?.slice(4, 8)).toEqual(["7 of 10", null, null, null]);
  expect(tables[0]?.notes.at(-1)).toBe("Nothing is flagged: without null tunings (--nulls) there is no threshold.");
  expect(tables[1]?.rows[0]?.slice(-2)).toEqual([null, 3]);
  expect(tables[2]?.rows[0]?.at(-1)).toBe("0.4 (90 %)");
  const markdown = renderMarkdown({ format: 1, run: "demo", seed: 1, summary: [], sections });
  expect(markdown).not.toMatch(/\b0 of 10|undefined/);
});

it("names the stage that measured it, and nothing in the place of a key that an earlier version did not keep", () => {
  const report = { format: 1 as const, run: "demo", seed: 1, summary: [], sections: [] };
  const own = calibration("logRatio", { logRatio: power(0.9, 0.8) });
  const keyOf = (key?: string) =>
    withCalibration(report, key === undefined ? own : { ...own, key }).sections[0]?.tables[0]?.source.key;
  expect(keyOf("fedcba9876543210")).toBe("fedcba9876543210");
  expect(keyOf()).toBe("key not recorded");
});
