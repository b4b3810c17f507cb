/** An ablation set for its page to show, and a host that changes it as the file is changed. */
import type { AblationPage, AblationView, ListedFeature } from "../../server/protocol/ablation-page.ts";
import type { AskHandlers } from "../../server/protocol/pages.ts";

const listed = (id: string, factor: number, more: Partial<ListedFeature> = {}): ListedFeature => ({
  ...{ id, factor, on: true, explanation: "strongest on great, good; words of praise", contribution: 0.61 },
  ...more,
});

export const acting: AblationView = {
  status: "acts",
  file: "praise.lfp-ablation.json",
  problem: null,
  run: { name: "quick", isAtHand: true },
  looked: "quick",
  features: [
    listed("L4/F43", 0),
    listed("L5/F106@big", 0.5, { explanation: null, contribution: null }),
    listed("base:L2/F7", 3, { on: false, contribution: -0.2 }),
  ],
  more: 0,
  measured: null,
  hasFolder: true,
};

export function ablationHost(view: AblationView = acting) {
  const asked: unknown[] = [];
  let current = view;
  const change = (id: string, to: Partial<ListedFeature>): void => {
    const features = current.features.map((feature) => (feature.id === id ? { ...feature, ...to } : feature));
    current = { ...current, features };
  };
  const note = (name: string) => async (params: object) => {
    asked.push({ name, ...params });
    return {};
  };
  const handlers: AskHandlers<typeof AblationPage.asks> = {
    open: async () => current,
    scale: async ({ id, factor }) => {
      asked.push({ name: "scale", id, factor });
      change(id, { factor });
      return {};
    },
    switch: async ({ id, on }) => {
      change(id, { on });
      return {};
    },
    switchAll: async ({ on }) => {
      current = { ...current, status: on ? "acts" : "off" };
      return {};
    },
    restoreAll: async () => {
      for (const { id } of current.features) change(id, { factor: 1 });
      return {};
    },
    remove: async ({ id }) => {
      current = { ...current, features: current.features.filter((feature) => feature.id !== id) };
      return {};
    },
    measure: async () => {
      const effect = { factor: 0, prompts: 256, change: -0.19, low: -0.23, high: -0.15 };
      const random = { ...effect, change: 0.01, low: -0.03, high: 0.04 };
      const effects = [
        { what: "this" as const, ...effect },
        { what: "random" as const, ...random },
      ];
      current = { ...current, measured: { effects, isCurrent: true } };
      return {};
    },
    add: note("add"),
    openFeature: note("openFeature"),
    openFile: note("openFile"),
    choose: note("choose"),
    openRun: note("openRun"),
    bind: note("bind"),
  };
  return { asked, handlers, set: (next: AblationView) => (current = next) };
}
