/** In a copy of the tests it takes the place of `node:test`: collects them, so that a trial can run one after the other and end with the first that fails. */

export interface Collected {
  readonly name: string;
  readonly run: () => unknown;
}

const collected: Collected[] = [];
const context = { diagnostic: (): void => undefined };

/** What has been collected since the last call. */
export function takeCollected(): Collected[] {
  return collected.splice(0);
}

export function describe(_name: string, body: () => void): void {
  body();
}

export function it(name: string, body: (t: typeof context) => unknown): void {
  collected.push({ name, run: () => body(context) });
}
