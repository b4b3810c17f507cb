import { expect, it } from "vitest";
import { pairName } from "./pair-name.ts";

it("names checkpoints by the ends of their paths that tell them apart", () => {
  expect(pairName({ tuned: "/models/dpo", base: "/models/pythia" })).toBe("dpo compared with pythia");
  expect(pairName({ tuned: "/a/run2/model/", base: "/a/run1/model" })).toBe("run2/model compared with run1/model");
  expect(pairName({ tuned: "C:\\tuned\\model", base: "C:\\base\\model" })).toBe("tuned/model compared with base/model");
  expect(pairName({ tuned: "/same", base: "/same" })).toBe("same compared with same");
});
