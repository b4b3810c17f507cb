import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FaultyFiles, systemError } from "../../test/unit/runs/faulty-files.ts";
import { scratchFolder } from "../../test/unit/runs/scratch.ts";
import { disk } from "./files.ts";
import { JsonLinesFile } from "./json-lines.ts";

async function fileHolding(text: string): Promise<string> {
  const path = join(await scratchFolder(), "lines.jsonl");
  writeFileSync(path, text);
  return path;
}

test("appends after what is there", async () => {
  const path = await fileHolding('{"a":1}\n');
  const file = new JsonLinesFile(path, disk);
  expect(file.lastLine()).toBe('{"a":1}');
  file.append({ b: "ü" });
  expect(file.lastLine()).toBe('{"b":"ü"}');
  file.close();
  expect(readFileSync(path, "utf8")).toBe('{"a":1}\n{"b":"ü"}\n');
});

test.each([
  ["an empty file", "", ""],
  ["a line without its line break", '{"a":1}\n{"b":2}', '{"a":1}\n'],
  ["half a line", '{"a":1}\n{"b', '{"a":1}\n'],
  ["only half a line", '{"a', ""],
  ["a tail of zeros", `{"a":1}\n${"\0".repeat(5000)}`, '{"a":1}\n'],
  ["zeros with line breaks", '{"a":1}\n\0\0\n\0\n', '{"a":1}\n'],
  ["a torn line longer than a window", `{"a":1}\n{"b":"${"x".repeat(50_000)}`, '{"a":1}\n'],
])("cuts away what a crash left: %s", async (_, before, after) => {
  const path = await fileHolding(before);
  const file = new JsonLinesFile(path, disk);
  expect(file.size).toBe(after.length);
  file.append({ c: 3 });
  file.close();
  expect(readFileSync(path, "utf8")).toBe(`${after}{"c":3}\n`);
});

test("long whole lines are kept", async () => {
  const line = JSON.stringify({ text: "y".repeat(100_000) });
  const file = new JsonLinesFile(await fileHolding(`{"a":1}\n${line}\n`), disk);
  expect(file.lastLine()).toBe(line);
  file.close();
});

test("a line that could be written only in part is gone before the next one, and after closing", async () => {
  const path = await fileHolding("");
  let writes = 0;
  const { files } = new FaultyFiles({
    at: (_, call) => (call === "writeSync" && ++writes % 2 === 0 ? "half" : "pass"),
    fail(call) {
      throw systemError("ENOSPC", call);
    },
  });
  const file = new JsonLinesFile(path, files);
  file.append({ a: 1 });
  expect(() => file.append({ b: 2 })).toThrow("ENOSPC");
  expect(readFileSync(path, "utf8")).toMatch(/^\{"a":1\}\n./);
  file.append({ c: 3 });
  expect(() => file.append({ d: 4 })).toThrow("ENOSPC");
  file.close();
  expect(readFileSync(path, "utf8")).toBe('{"a":1}\n{"c":3}\n');
});
