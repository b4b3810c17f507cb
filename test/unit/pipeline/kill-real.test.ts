import { expect, test } from "vitest";
import { type Cuts, killRealRuns } from "./kill-real.ts";
import { tinyRuns } from "./tiny-runs.ts";

test.each<Cuts>([
  { run: "quick", random: 4, seed: 11, inStages: ["autoencoders", "examples", "ablate"] },
  { run: "quick-preferences", random: 2, seed: 5, inStages: ["tune"] },
  { run: "preferences", random: 3, seed: 7, inStages: tinyRuns.preferences.longStages },
])(
  "kill -9 at random moments of a $run run of the real pipeline, and in $inStages: each resume ends with the bytes of the uncut one",
  {
    timeout: 600_000,
  },
  async (planned) => {
    const cuts = await killRealRuns(planned);
    expect(cuts.map(({ where, faults }) => ({ where, faults }))).toEqual(
      cuts.map(({ where }) => ({ where, faults: [] })),
    );
    expect(cuts.length).toBe(planned.random + planned.inStages.length);
    // A run that is killed after some time may be over by then.
    const killed = cuts.filter(({ late }) => !late).length;
    expect(killed).toBeGreaterThanOrEqual(cuts.length - Math.ceil(planned.random / 3));
  },
);
