/** Questions to etcd that are under way, each with what is to be done with its answer. */
import type { MonotonicMs } from '../base/machine.ts';
import type { EtcdAnswer, EtcdLogEffect, EtcdQuestion } from './messages.ts';

export type OnAnswer = (answer: EtcdAnswer, now: MonotonicMs, effects: EtcdLogEffect[]) => void;

const WRITES: readonly EtcdQuestion['kind'][] = ['grant', 'txn'];

interface Open {
  readonly onAnswer: OnAnswer;
  /** An answer knows of no older revision than was known when it was asked. */
  readonly atLeast: number;
  readonly isWrite: boolean;
}

export class Questions {
  readonly #open: Map<number, Open> = new Map();
  #last = 0;
  #heardAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  #revision = 0;
  #store: number | undefined;
  #wentBack: string | undefined;
  #refusal: string | undefined;
  #failure = 'no word of it';

  /** When etcd last said anything. */
  get heardAt(): MonotonicMs {
    return this.#heardAt;
  }

  /** What came in place of the last answer that did not come. */
  get failure(): string {
    return this.#failure;
  }

  /** Why etcd has refused what it was last asked to write, or to lease. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Why nothing that etcd says is to be believed any more: it knows less than it did, or is another one. */
  get wentBack(): string | undefined {
    return this.#wentBack;
  }

  ask(question: EtcdQuestion, onAnswer: OnAnswer, effects: EtcdLogEffect[]): void {
    this.#last += 1;
    this.#open.set(this.#last, { onAnswer, atLeast: this.#revision, isWrite: WRITES.includes(question.kind) });
    effects.push({ kind: 'askEtcd', ask: this.#last, question });
  }

  onAnswer(ask: number, answer: EtcdAnswer, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    const open = this.#open.get(ask);
    this.#open.delete(ask);
    if (answer.kind !== 'failed' || answer.isRefused) this.#heardAt = now;
    if (answer.kind === 'failed') this.#failure = answer.reason;
    if (open?.isWrite === true && answer.kind === 'failed' && answer.isRefused) this.#refusal = answer.reason;
    else if (answer.kind === 'txn') this.#refusal = undefined;
    if (answer.kind === 'range' || answer.kind === 'txn') {
      const { revision, store } = answer;
      this.#store ??= store;
      if (store !== this.#store) this.#wentBack ??= 'another etcd answers than before';
      if (open !== undefined && revision < open.atLeast)
        this.#wentBack ??= `etcd has gone back from revision ${open.atLeast} to ${revision}`;
      this.#note(revision);
    }
    if (this.#wentBack === undefined) open?.onAnswer(answer, now, effects);
  }

  onEvents(revision: number, now: MonotonicMs): void {
    this.#heardAt = now;
    this.#note(revision);
  }

  #note(revision: number): void {
    if (revision > this.#revision) this.#revision = revision;
  }
}
