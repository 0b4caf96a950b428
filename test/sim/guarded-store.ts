/**
 * What an application keeps outside of the cluster, one value per shard, as docs/ownership.md asks for it: who has seen a fencing token
 * refuses every smaller one (SH-6). It never fails and never forgets, so that only the cluster is on trial.
 */
import { EMPTY_REGISTER } from './history/register.ts';
import { Violation } from './violation.ts';

interface Cell {
  token: number;
  value: number;
}

export class GuardedStore {
  readonly #cells: Map<string, Cell> = new Map();
  refused = 0;

  /** Takes note of the token and tells the value; undefined when a larger token was here before. */
  open(key: string, token: number): number | undefined {
    const cell = this.#cells.get(key) ?? { token, value: EMPTY_REGISTER };
    this.#cells.set(key, cell);
    if (token < cell.token) {
      this.refused += 1;
      return undefined;
    }
    cell.token = token;
    return cell.value;
  }

  write(key: string, token: number, value: number): boolean {
    const cell = this.#cells.get(key);
    if (cell === undefined) throw new Violation(`${key} is written to before it was opened`);
    if (token < cell.token) {
      this.refused += 1;
      return false;
    }
    cell.token = token;
    cell.value = value;
    return true;
  }
}
