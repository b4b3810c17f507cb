import { execFileSync } from "node:child_process";
import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { createGzip, gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { readTexts } from "../../../server/pipeline/data/texts.ts";
import { cpuMs } from "../../support/cpu-time.ts";
import { scratchFolder } from "../runs/scratch.ts";

/** What reading says, and that it takes neither memory nor time without bound. */
async function refusal(path: string): Promise<string> {
  const [before, startMs] = [process.memoryUsage().rss, cpuMs()];
  const error = await readTexts(path, { field: "text" }).catch((thrown: unknown) => thrown);
  expect(process.memoryUsage().rss - before).toBeLessThan(1.2e9);
  expect(cpuMs() - startMs).toBeLessThan(60_000);
  expect(error).toHaveProperty("code", "input");
  return String(error);
}

async function zipped(name: string, block: string, times: number): Promise<string> {
  const path = join(await scratchFolder(), name);
  const blocks = Readable.from(Array.from({ length: times }, () => Buffer.from(block)));
  await writeFile(path, blocks.pipe(createGzip({ level: 1 })));
  return path;
}

it("a line without an end is refused, in a file and out of an archive", { timeout: 120_000 }, async () => {
  const sparse = join(await scratchFolder(), "a.jsonl");
  await writeFile(sparse, "");
  await truncate(sparse, 10e9);
  expect(await refusal(sparse)).toMatch(/line 1 has more than 16777216 characters/);
  const archive = join(await scratchFolder(), "a.jsonl.gz");
  await writeFile(archive, gzipSync(Buffer.alloc(30e6, "a"), { level: 1 }));
  expect(await refusal(archive)).toMatch(/line 1 has more than 16777216 characters/);
  const cell = await zipped("a.csv.gz", "a".repeat(1 << 20), 30);
  expect(await refusal(cell)).toMatch(/row 1 is not CSV: .*(Size|size)/);
});

it("more rows, lines or characters than one file may hold are refused as soon as they are met", {
  timeout: 120_000,
}, async () => {
  const rows = await zipped("b.jsonl.gz", '{"text":"a"}\n'.repeat(10_000), 500);
  expect(await refusal(rows)).toMatch(/has more than 4194304 rows, .*: give a part of it/);
  const empty = await zipped("c.jsonl.gz", "\n".repeat(1 << 20), 20);
  expect(await refusal(empty)).toMatch(/has more than 16777216 lines/);
  const emptyCells = await zipped("c.csv.gz", "\n".repeat(1 << 20), 20);
  expect(await refusal(emptyCells)).toMatch(/has more than 16777216 lines/);
});

it("a Parquet file says how much it holds, and is refused by that", async () => {
  expect(await refusal("test/fixtures/data/many-rows.parquet")).toMatch(/has more than 4194304 rows/);
  expect(await refusal("test/fixtures/data/long-text.parquet")).toMatch(
    /a page of it has 30000\d+ bytes, and at most 268435456/,
  );
});

it("a row nested 100,000 deep is named", async () => {
  const folder = await scratchFolder();
  for (const [at, row] of ["[".repeat(1e5), `{"text":${"[".repeat(1e5)}${"]".repeat(1e5)}}`].entries()) {
    const path = join(folder, `${at}.jsonl`);
    await writeFile(path, `{"text": "fine"}\n${row}\n`);
    expect(await refusal(path)).toMatch(/line 2 is not JSON: it is nested more than 256 deep/);
  }
});

it.skipIf(process.platform === "win32")("a pipe is refused at once", async () => {
  const folder = await scratchFolder();
  for (const name of ["a.jsonl", "a.csv.gz", "a.parquet"]) {
    execFileSync("mkfifo", [join(folder, name)]);
    expect(await refusal(join(folder, name))).toMatch(/it is a named pipe; expected a regular file/);
  }
});
