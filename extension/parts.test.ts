/** Parts of the extension that ask little of the editor. */
import { describe, expect, it } from "vitest";
import { setConfiguration } from "../test/support/vscode-stub.ts";
import { checkedEndpoint } from "./api-key.ts";
import { isObsolete, ServerFailure, serverFailure } from "./server-failure.ts";
import { readSetting } from "./settings.ts";

describe("a setting", () => {
  it("has its default until it is set, and when it is set to nonsense", () => {
    expect(readSetting("problems.threshold")).toBe(0.5);
    setConfiguration("lfpLens.problems.threshold", 2);
    expect(readSetting("problems.threshold")).toBe(2);
    setConfiguration("lfpLens.problems.threshold", "often");
    expect(readSetting("problems.threshold")).toBe(0.5);
  });
});

describe("the endpoint of explanations", () => {
  it("is an https address, or http on this machine", () => {
    expect(checkedEndpoint("https://api.openai.com/v1").origin).toBe("https://api.openai.com");
    expect(checkedEndpoint("http://localhost:8080/v1").origin).toBe("http://localhost:8080");
  });

  it.each(["http://api.openai.com/v1", "ftp://localhost/", "api.openai.com", "", "http://localhost.evil.example/"])(
    "is not %s",
    (address) => {
      expect(() => checkedEndpoint(address)).toThrow(/lfpLens\.explain\.endpoint/);
    },
  );
});

describe("a failed request", () => {
  const response = (code: number, data?: unknown): Error => Object.assign(new Error("said so"), { code, data });

  it("says what the server said of it", () => {
    const failure = serverFailure(response(-32803, { code: "quarantined", message: "not again" }), "lfp/readTokens");
    expect([failure.code, failure.message]).toEqual(["quarantined", "not again"]);
  });

  it.each([
    [-32800, "cancelled"],
    [-32801, "stale"],
    [-32802, "cancelled"],
  ])("with LSP's code %i is %s, and nothing to tell anyone", (code, name) => {
    const failure = serverFailure(response(code, "no data of ours"), "lfp/readTokens");
    expect(failure.code).toBe(name);
    expect(isObsolete(failure)).toBe(true);
  });

  it("of any other kind is a defect, with its cause", () => {
    for (const error of [response(-32603), new TypeError("x"), "text", undefined]) {
      const failure = serverFailure(error, "lfp/readTokens");
      expect([failure.code, failure.cause, isObsolete(failure)]).toEqual(["internal", error, false]);
    }
    const known = new ServerFailure({ code: "stale", message: "" }, undefined);
    expect(serverFailure(known, "lfp/readTokens")).toBe(known);
  });
});
