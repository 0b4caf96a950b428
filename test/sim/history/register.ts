/** One value that is read, written, and exchanged for another when it is what was expected. */
import type { Model, Operation, Verdict } from './linearizability.ts';

export type RegisterInput =
  | { readonly kind: 'read'; readonly key: string }
  | { readonly kind: 'write'; readonly key: string; readonly value: number }
  | { readonly kind: 'exchange'; readonly key: string; readonly expected: number; readonly value: number };

/** What was read, before an exchange as well; of a write, what it wrote. */
export type RegisterOutput = number;

export type RegisterOperation = Operation<RegisterInput, RegisterOutput>;

/** Nothing was ever written. */
export const EMPTY_REGISTER = 0;

export const REGISTER: Model<number, RegisterInput, RegisterOutput> = {
  initial: EMPTY_REGISTER,
  step(state, input, output) {
    if (input.kind === 'read') return output === undefined || output === state ? state : undefined;
    if (input.kind === 'write') return input.value;
    if (output !== undefined && output !== state) return undefined;
    return state === input.expected ? input.value : state;
  },
  keyOf: String,
};

/** One operation per line, and how far an order got. */
export function describeIllegal(
  operations: readonly RegisterOperation[],
  { longest, stuckAt }: Extract<Verdict, { kind: 'illegal' }>,
): string {
  const line = (index: number): string => textOf(operations[index] as RegisterOperation);
  return `after ${longest.slice(-8).map(line).join('; ')} there is no place for ${line(stuckAt)}`;
}

function textOf({ client, input, output, call, return: end }: RegisterOperation): string {
  const what =
    input.kind === 'read'
      ? 'read'
      : input.kind === 'write'
        ? `write ${input.value}`
        : `exchange ${input.expected} for ${input.value}`;
  return `[${call}..${end}] client ${client} ${what} of ${input.key} = ${output ?? 'unknown'}`;
}
