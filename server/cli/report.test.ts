import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { Report } from "../protocol/report.ts";
import { report } from "./report.ts";

const io = { signal: new AbortController().signal, env: {}, say: () => {}, note: () => {} };
const bundledRun = fileURLToPath(new URL("../../assets/starter-run", import.meta.url));

it("the report is written as one HTML file where that is asked for", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lfp-report-"));
  const file = join(folder, "report.html");
  const { json, text } = await report.run([bundledRun, "--html", file], io);
  expect(json).toEqual({ file });
  expect(text).toContain(file);
  const { run, sections } = Report.parse((await report.run([bundledRun], io)).json);
  const html = await readFile(file, "utf8");
  expect(html).toContain(`<title>Run ${run}</title>`);
  expect(html.match(/<section /g)).toHaveLength(sections.length);
  await rm(folder, { recursive: true });
});

it("a folder that is no run is refused, and nothing is written", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lfp-report-"));
  const file = join(folder, "report.html");
  await expect(report.run([folder, "--html", file], io)).rejects.toThrow(folder);
  await expect(readFile(file)).rejects.toThrow("ENOENT");
  await rm(folder, { recursive: true });
});
