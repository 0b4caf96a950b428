/** How often each method was answered, and how. Read by the metrics at scrape time. */

export interface CallCount {
  /** `package.Service/Method`. */
  readonly method: string;
  /** A gRPC status name, or the code of the Error inside an answer of clusterfunk's service. */
  readonly code: string;
  readonly count: number;
}

/** Methods and codes come from fixed sets, so the table is bounded by their product. */
export class CallCounts {
  readonly #counts = new Map<string, { readonly method: string; readonly code: string; count: number }>();

  add(method: string, code: string): void {
    const key = `${method} ${code}`;
    const row = this.#counts.get(key);
    if (row === undefined) this.#counts.set(key, { method, code, count: 1 });
    else row.count += 1;
  }

  rows(): readonly CallCount[] {
    return [...this.#counts.values()].map((row) => ({ ...row }));
  }
}
