/** File of the `examples` stage, and of the writable store in the run's folder. */
export const featuresFile = "features.sqlite";
