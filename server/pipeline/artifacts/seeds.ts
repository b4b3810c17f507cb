/** File of the `seeds` stage: every figure of every seed with its interval. */
export const seedsFile = "seeds.json";
