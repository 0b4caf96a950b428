/** Questions to etcd that are under way, each with what is to be done with its answer. */
import type { MonotonicMs } from '../base/machine.ts';
import type { EtcdAnswer, EtcdLogEffect, EtcdQuestion } from './messages.ts';

export type OnAnswer = (answer: EtcdAnswer, now: MonotonicMs, effects: EtcdLogEffect[]) => void;

interface Open {
  readonly onAnswer: OnAnswer;
  /** An answer knows of no older revision than was known when it was asked. */
  readonly atLeast: number;
}

export class Questions {
  readonly #open: Map<number, Open> = new Map();
  #last = 0;
  #heardAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  #revision = 0;
  #wentBack: string | undefined;

  /** When etcd last said anything. */
  get heardAt(): MonotonicMs {
    return this.#heardAt;
  }

  /** Why nothing that etcd says is to be believed any more: it knows less than it did. */
  get wentBack(): string | undefined {
    return this.#wentBack;
  }

  ask(question: EtcdQuestion, onAnswer: OnAnswer, effects: EtcdLogEffect[]): void {
    this.#last += 1;
    this.#open.set(this.#last, { onAnswer, atLeast: this.#revision });
    effects.push({ kind: 'askEtcd', ask: this.#last, question });
  }

  onAnswer(ask: number, answer: EtcdAnswer, now: MonotonicMs, effects: EtcdLogEffect[]): void {
    const open = this.#open.get(ask);
    this.#open.delete(ask);
    if (answer.kind !== 'failed') this.#heardAt = now;
    if (answer.kind === 'range' || answer.kind === 'txn') {
      const { revision } = answer;
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
