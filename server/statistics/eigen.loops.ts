/** Eigenvalues in descending order; vector i is the unit vector `vectors.subarray(i * m, (i + 1) * m)`. */
export interface Eigen {
  readonly values: Float64Array;
  readonly vectors: Float64Array;
}

const MAX_SWEEPS = 60;

/**
 * Eigenvalues and eigenvectors of a full symmetric matrix of m by m numbers (used up), by cyclic Jacobi rotations (Golub and
 * Van Loan, Matrix Computations, section 8.5). For small m: each sweep costs 4 m³.
 */
export function symmetricEigen(a: Float64Array, m: number): Eigen {
  const rotated = new Float64Array(m * m);
  for (let i = 0; i < m; i++) rotated[i * m + i] = 1;
  const negligible = 1e-17 * Math.sqrt(a.reduce((squares, value) => squares + value * value, 0));
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let rotations = 0;
    for (let p = 0; p < m; p++) {
      for (let q = p + 1; q < m; q++) {
        const coupling = a[p * m + q]!;
        if (Math.abs(coupling) <= negligible) continue;
        const theta = (a[q * m + q]! - a[p * m + p]!) / (2 * coupling);
        const tangent = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const cosine = 1 / Math.sqrt(tangent * tangent + 1);
        rotateColumns(a, m, p, q, cosine, tangent * cosine);
        rotateRows(a, m, p, q, cosine, tangent * cosine);
        rotateRows(rotated, m, p, q, cosine, tangent * cosine);
        rotations++;
      }
    }
    if (rotations === 0) break;
  }
  return descending(a, rotated, m);
}

function rotateRows(a: Float64Array, m: number, p: number, q: number, cosine: number, sine: number): void {
  for (let k = 0, i = p * m, j = q * m; k < m; k++, i++, j++) {
    const [x, y] = [a[i]!, a[j]!];
    a[i] = cosine * x - sine * y;
    a[j] = sine * x + cosine * y;
  }
}

function rotateColumns(a: Float64Array, m: number, p: number, q: number, cosine: number, sine: number): void {
  for (let k = 0, i = p, j = q; k < m; k++, i += m, j += m) {
    const [x, y] = [a[i]!, a[j]!];
    a[i] = cosine * x - sine * y;
    a[j] = sine * x + cosine * y;
  }
}

function descending(a: Float64Array, rotated: Float64Array, m: number): Eigen {
  const order = Array.from({ length: m }, (_, i) => i).sort((i, j) => a[j * m + j]! - a[i * m + i]! || i - j);
  const vectors = new Float64Array(m * m);
  for (let i = 0; i < m; i++) vectors.set(rotated.subarray(order[i]! * m, (order[i]! + 1) * m), i * m);
  return { values: Float64Array.from(order, (i) => a[i * m + i]!), vectors };
}
