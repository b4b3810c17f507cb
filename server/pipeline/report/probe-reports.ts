/** A probe's part of a report, by the probe's kind. */

import type { ProbeKind, ProbeReport } from "../../probe/report-types.ts";
import { classificationFinding, classificationSection } from "./classification-section.ts";
import type { Section, Source } from "./document.ts";
import { probeFinding } from "./probe-finding.ts";
import { probeSection } from "./probe-section.ts";

interface ProbeWords<Report> {
  /** Shows `words` words of the lexicon, if the probe has one. */
  readonly section: (report: Report, source: Source, words: number) => Section;
  /** One line for the top of the report. */
  readonly finding: (report: Report) => string;
}

type Reports = { readonly [K in ProbeKind]: Extract<ProbeReport, { kind: K }> };

const words: { readonly [K in ProbeKind]: ProbeWords<Reports[K]> } = {
  regression: { section: probeSection, finding: probeFinding },
  classification: { section: classificationSection, finding: classificationFinding },
};

/** The section on a probe, and its line at the top of the report. */
export function probeInReport<K extends ProbeKind>(
  report: { readonly kind: K } & Reports[K],
  source: Source,
  shownWords: number,
): { readonly section: Section; readonly finding: string } {
  const { section, finding } = words[report.kind];
  return { section: section(report, source, shownWords), finding: finding(report) };
}
