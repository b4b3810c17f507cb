/** Logs of runs for curves, and a host that reads them. */
import type { AskHandlers } from "../../server/protocol/pages.ts";
import type { CurvesPage } from "../../server/protocol/run-pages.ts";

/** A log as tuning and autoencoders write it: `steps` steps of tuning, then ten of two autoencoders. */
export function logLines(steps: number): Record<string, unknown>[] {
  const tuning = Array.from({ length: steps }, (_, at) => ({
    stage: "tune",
    step: at + 1,
    rewardMean: 0.01 * at,
    rewardSd: 0.2,
    kl: 0.05 * at,
    entropy: 3 - 0.005 * at,
    clipFraction: 0.02,
    valueLoss: 1 / (at + 1),
    policyLoss: -0.01,
    best: '<img src=x onerror="document.title=1">',
  }));
  const autoencoders = Array.from({ length: 10 }, (_, at) => {
    const columns = ["tuned.0", "tuned.1", "base.0", "base.1"].flatMap((id, layer) =>
      Object.entries({ loss: 1 / (at + 1) + layer / 10, fve: 0.9, l0: 20 - at, dead: 0 }).map(([name, value]) => [
        `${id}.128.${name}`,
        value,
      ]),
    );
    return { stage: "autoencoders", step: 10 * at, ...Object.fromEntries(columns) };
  });
  return [...tuning, ...autoencoders];
}

/** A host whose log grows, read by line numbers instead of bytes, `page` lines at a time. */
export function curvesHost(
  log: Record<string, unknown>[],
  page = 25,
): AskHandlers<typeof CurvesPage.asks> & { opened: number } {
  const host = {
    opened: 0,
    open: async () => ({ name: "demo", state: { kind: "running" as const, stage: "tune" } }),
    series: async ({ offset }: { offset: number }) => {
      const from = offset > log.length ? 0 : offset;
      const lines = log.slice(from, from + page);
      return { offset: from + lines.length, lines };
    },
    openLog: async () => {
      host.opened += 1;
      return {};
    },
    save: async () => ({ saved: true }),
  };
  return host;
}
