/**
 * Whether a history of concurrent operations has an order that one copy of the object could have seen (Herlihy, Wing 1990). The search
 * is that of Wing and Gong with Lowe's memory of what was tried: take any operation that was called before the first return, see
 * whether the model allows it next, go on, and step back where a return is reached whose operation has no place yet.
 */

/** What the object is in one thread. States are values: a step makes a new one. */
export interface Model<State, Input, Output> {
  readonly initial: State;
  /** The state after it; undefined when the output cannot be. An output that nobody heard is undefined, and fits always. */
  step(state: State, input: Input, output: Output | undefined): State | undefined;
  /** Equal for equal states, and only for them. */
  keyOf(state: State): string;
}

export interface Operation<Input, Output> {
  readonly client: number;
  readonly input: Input;
  /** Position in the order of all calls and returns. */
  readonly call: number;
  /** Infinity when nobody heard how it ended: it may have taken effect at any later time, or never. */
  readonly return: number;
  readonly output: Output | undefined;
}

export type Verdict =
  | { readonly kind: 'linearizable' }
  /** `longest`: as far as any order got, and `stuckAt` is what could not follow it. */
  | { readonly kind: 'illegal'; readonly longest: readonly number[]; readonly stuckAt: number }
  /** Too many orders to try. */
  | { readonly kind: 'undecided' };

const STEPS_MAX = 2_000_000;

export function checkLinearizable<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  stepsMax: number = STEPS_MAX,
): Verdict {
  return new Search(model, operations).run(stepsMax);
}

/** Histories of several objects are legal when each object's own is (locality, Herlihy and Wing §3.3). */
export function partition<Input, Output>(
  operations: readonly Operation<Input, Output>[],
  keyOf: (input: Input) => string,
): Map<string, Operation<Input, Output>[]> {
  const parts = new Map<string, Operation<Input, Output>[]>();
  for (const operation of operations) {
    const key = keyOf(operation.input);
    const part = parts.get(key);
    if (part === undefined) parts.set(key, [operation]);
    else part.push(operation);
  }
  return parts;
}

/** A call or a return, in a list from which operations are lifted as they find their place. */
interface Event {
  readonly operation: number;
  readonly isCall: boolean;
  /** Of a call that returned. */
  match: Event | undefined;
  before: Event | undefined;
  after: Event | undefined;
}

class Search<State, Input, Output> {
  readonly #model: Model<State, Input, Output>;
  readonly #operations: readonly Operation<Input, Output>[];
  readonly #head: Event = { operation: -1, isCall: true, match: undefined, before: undefined, after: undefined };
  readonly #placed: Uint32Array;
  readonly #tried: Set<string> = new Set();
  readonly #stack: { readonly event: Event; readonly state: State }[] = [];
  #returnsLeft = 0;
  #longest: readonly number[] = [];
  #stuckAt = -1;

  constructor(model: Model<State, Input, Output>, operations: readonly Operation<Input, Output>[]) {
    this.#model = model;
    this.#operations = operations;
    this.#placed = new Uint32Array(Math.ceil(operations.length / 32));
    this.#link();
  }

  run(stepsMax: number): Verdict {
    let state = this.#model.initial;
    let event = this.#head.after;
    let steps = 0;
    while (this.#returnsLeft > 0 && event !== undefined) {
      steps += 1;
      if (steps > stepsMax) return { kind: 'undecided' };
      if (event.isCall) {
        const next = this.#tryNext(event, state);
        if (next === undefined) {
          event = event.after;
          continue;
        }
        this.#stack.push({ event, state });
        state = next;
        this.#lift(event);
        event = this.#head.after;
        continue;
      }
      this.#noteStuck(event);
      const last = this.#stack.pop();
      if (last === undefined) return { kind: 'illegal', longest: this.#longest, stuckAt: this.#stuckAt };
      state = last.state;
      this.#putBack(last.event);
      event = last.event.after;
    }
    return { kind: 'linearizable' };
  }

  /** The state after `event`'s operation, unless the model forbids it or the same set in the same state led nowhere before. */
  #tryNext(event: Event, state: State): State | undefined {
    const { input, output } = this.#operations[event.operation] as Operation<Input, Output>;
    const next = this.#model.step(state, input, output);
    if (next === undefined) return undefined;
    this.#flip(event.operation);
    const key = `${this.#placed.join()}|${this.#model.keyOf(next)}`;
    if (!this.#tried.has(key)) {
      this.#tried.add(key);
      return next;
    }
    this.#flip(event.operation);
    return undefined;
  }

  #flip(operation: number): void {
    const word = operation >>> 5;
    this.#placed[word] = (this.#placed[word] as number) ^ (1 << (operation & 31));
  }

  #lift(call: Event): void {
    unlink(call);
    if (call.match === undefined) return;
    unlink(call.match);
    this.#returnsLeft -= 1;
  }

  #putBack(call: Event): void {
    this.#flip(call.operation);
    if (call.match !== undefined) {
      relink(call.match);
      this.#returnsLeft += 1;
    }
    relink(call);
  }

  #noteStuck(event: Event): void {
    if (this.#stack.length < this.#longest.length) return;
    this.#longest = this.#stack.map((step) => step.event.operation);
    this.#stuckAt = event.operation;
  }

  #link(): void {
    const events: { readonly at: number; readonly event: Event }[] = [];
    for (const [operation, { call, return: end }] of this.#operations.entries()) {
      const ended: Event | undefined =
        end === Number.POSITIVE_INFINITY
          ? undefined
          : { operation, isCall: false, match: undefined, before: undefined, after: undefined };
      events.push({ at: call, event: { operation, isCall: true, match: ended, before: undefined, after: undefined } });
      if (ended === undefined) continue;
      events.push({ at: end, event: ended });
      this.#returnsLeft += 1;
    }
    events.sort((a, b) => a.at - b.at);
    let last = this.#head;
    for (const { event } of events) {
      last.after = event;
      event.before = last;
      last = event;
    }
  }
}

function unlink(event: Event): void {
  if (event.before !== undefined) event.before.after = event.after;
  if (event.after !== undefined) event.after.before = event.before;
}

/** Undoes the newest {@link unlink} that is not undone yet: its neighbours are those that it had. */
function relink(event: Event): void {
  if (event.before !== undefined) event.before.after = event;
  if (event.after !== undefined) event.after.before = event;
}
