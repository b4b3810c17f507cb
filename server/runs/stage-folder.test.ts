import { join } from "node:path";
import { expect, it } from "vitest";
import { keyInPath, outputUnderWay, stageFolderName, WORK_SUFFIX } from "./stage-folder.ts";

it("a stage's key is read from its output's folder, finished or under way, and from no other", () => {
  const key = "0123456789abcdef".repeat(4);
  const folder = join("runs", "a-deadbeefdeadbeef", "stages", stageFolderName("log-ratio", key));
  expect(folder).toMatch(/log-ratio-0123456789abcdef$/);
  expect(keyInPath(folder)).toBe("0123456789abcdef");
  expect(keyInPath(outputUnderWay(`${folder}${WORK_SUFFIX}`))).toBe("0123456789abcdef");
  for (const other of ["", "runs", join(folder, "probe"), join("x-deadbeefdeadbeef", "tuned")])
    expect(keyInPath(other)).toBe("");
});
