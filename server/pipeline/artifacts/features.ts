/** File of the `examples` stage, and the living one in the run's folder. */
export const featuresFile = "features.sqlite";
