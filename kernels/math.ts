/**
 * Functions of one number in WGSL. The built-in tanh may be implemented with exponentials that overflow, and WGSL has
 * no erf; these are accurate to a few units in the last place of 1.
 */

/** Functions by name, each with the functions that it calls. */
export const functions = {
  tanhOf: {
    needs: [],
    code: `fn tanhOf(x: f32) -> f32 {
  let s = x * x;
  // The series of tanh where the other form loses digits.
  let near = x * (1.0f + s * (-0.33333333f + s * (0.13333333f + s * (-0.053968254f + s * 0.021869488f))));
  let far = 1.0f - 2.0f / (exp(2.0f * min(abs(x), 20.0f)) + 1.0f);
  return select(sign(x) * far, near, abs(x) < 0.3f);
}`,
  },
  sigmoidOf: {
    needs: [],
    code: `fn sigmoidOf(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(e, 1.0f, x >= 0.0f) / (1.0f + e);
}`,
  },
  softplusOf: {
    needs: [],
    code: `fn softplusOf(x: f32) -> f32 {
  let e = exp(-abs(x));
  let log1p = select(log(1.0f + e), e - e * e * (0.5f - e * 0.33333333f), e < 0.01f);
  return max(x, 0.0f) + log1p;
}`,
  },
  // erfc(z) = t exp(-z^2 + P(t)) with t = 1 / (1 + z/2), P a Chebyshev fit of ours over z from 0 to 8 (error below 3e-7).
  normalCdf: {
    needs: [],
    code: `fn normalCdf(x: f32) -> f32 {
  let z = abs(x) * 0.70710678f;
  let t = 1.0f / (1.0f + 0.5f * z);
  let p = -1.2653608f + t * (0.9969421f + t * (0.40059146f + t * (-0.029800592f + t * (0.18502097f + t * (-0.41723093f
    + t * (-0.2980392f + t * (0.8634608f + t * (-0.5583773f + t * 0.12279359f))))))));
  let tail = 0.5f * t * exp(p - z * z);
  return select(tail, 1.0f - tail, x > 0.0f);
}`,
  },
  geluOf: { needs: ["normalCdf"], code: "fn geluOf(x: f32) -> f32 { return x * normalCdf(x); }" },
  // Phi(x) + x phi(x)
  geluSlope: {
    needs: ["normalCdf"],
    code: "fn geluSlope(x: f32) -> f32 { return normalCdf(x) + x * 0.39894228f * exp(-0.5f * x * x); }",
  },
  geluTanhOf: {
    needs: ["tanhOf"],
    code: `fn geluTanhOf(x: f32) -> f32 {
  return 0.5f * x * (1.0f + tanhOf(0.7978845608f * (x + 0.044715f * x * x * x)));
}`,
  },
  geluTanhSlope: {
    needs: ["tanhOf"],
    code: `fn geluTanhSlope(x: f32) -> f32 {
  let t = tanhOf(0.7978845608f * (x + 0.044715f * x * x * x));
  return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * 0.7978845608f * (1.0f + 0.134145f * x * x);
}`,
  },
} as const satisfies Readonly<Record<string, { readonly needs: readonly string[]; readonly code: string }>>;

export type FunctionName = keyof typeof functions;

/** The text of some functions and of all functions that they call, each once. */
export function functionsText(names: Iterable<FunctionName>): string {
  const found = new Set<FunctionName>();
  const take = (name: FunctionName): void => {
    for (const needed of functions[name].needs) take(needed);
    found.add(name);
  };
  for (const name of names) take(name);
  return [...found].map((name) => functions[name].code).join("\n");
}
