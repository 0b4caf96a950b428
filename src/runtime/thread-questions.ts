/**
 * Questions of the application's thread to the thread of its node that are answered at once: readings such as `view()` are synchronous.
 * The asker waits in `Atomics.wait`; the node answers between two turns, after some tens of microseconds. It never waits for the asker in turn.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { type Answer, type Question, WORD_ANSWERS } from './thread-messages.ts';

/** No turn of a node takes this long. Whoever waited in vain once waits no more until the late answer is there. */
const PATIENCE_MS = 1_000;

interface Numbered<T> {
  readonly number: number;
  readonly content: T;
}

export class ThreadAsker {
  readonly #port: MessagePort;
  readonly #words: Int32Array;
  #asked = 0;
  #answered = 0;

  constructor(port: MessagePort, words: SharedArrayBuffer) {
    this.#port = port;
    this.#words = new Int32Array(words);
  }

  /** Undefined when the node does not answer: it is gone, or its thread got no time. */
  ask(question: Question): Answer | undefined {
    this.#receive();
    const patienceMs = this.#answered === this.#asked ? PATIENCE_MS : 0;
    this.#asked += 1;
    this.#port.postMessage({ number: this.#asked, content: question } satisfies Numbered<Question>);
    const deadline = performance.now() + patienceMs;
    for (;;) {
      // Read before the port is: an answer that comes in between ends the wait at once.
      const answers = Atomics.load(this.#words, WORD_ANSWERS);
      const answer = this.#receive();
      const leftMs = deadline - performance.now();
      if (answer !== undefined || leftMs <= 0) return answer;
      Atomics.wait(this.#words, WORD_ANSWERS, answers, leftMs);
    }
  }

  close(): void {
    this.#port.close();
  }

  /** The answer to the newest question, when it is there; older ones came too late, and are dropped. */
  #receive(): Answer | undefined {
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
      const answer = next.message as Numbered<Answer>;
      this.#answered = answer.number;
      if (answer.number === this.#asked) return answer.content;
    }
    return undefined;
  }
}

/** The other end. Answers as long as the port is open. */
export function answerQuestions(
  port: MessagePort,
  words: SharedArrayBuffer,
  answer: (question: Question) => Answer,
): void {
  const counts = new Int32Array(words);
  port.on('message', ({ number, content }: Numbered<Question>) => {
    port.postMessage({ number, content: answer(content) } satisfies Numbered<Answer>);
    Atomics.add(counts, WORD_ANSWERS, 1);
    Atomics.notify(counts, WORD_ANSWERS);
  });
}
