/** What stands between a node and its thread's port: performs the calls that come, answers questions, and tells what the application is to hear. */
import type { MessagePort } from 'node:worker_threads';
import { present } from '../base/assert.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { ShardState } from '../model/shard-map.ts';
import type { Logger, LogLevel } from '../ports/logger.ts';
import type { AcquireCall, ReleaseCall } from '../ports/shard-hooks.ts';
import type { CallOptions, NodeHandle } from './node-handle.ts';
import { hookEndOf } from './shard-hooks.ts';
import { failureOf } from './thread-failures.ts';
import type {
  Answer,
  CallValue,
  FromThread,
  HandleCall,
  LastReadings,
  Question,
  ThreadMemory,
  ToThread,
} from './thread-messages.ts';
import { ThreadOutlet } from './thread-outlet.ts';
import { answerQuestions } from './thread-questions.ts';
import { ViewSender } from './thread-view.ts';

export interface ThreadPorts {
  /** To the application and back, both without waiting. */
  readonly main: MessagePort;
  /** See `thread-questions.ts`. */
  readonly questions: MessagePort;
  readonly memory: ThreadMemory;
}

interface HookCall {
  readonly resolve: (states: readonly ShardState[]) => void;
  readonly reject: (error: Error) => void;
}

export class ThreadHost {
  readonly #ports: ThreadPorts;
  readonly #outlet: ThreadOutlet;
  readonly #views: ViewSender = new ViewSender();
  readonly #calls: Map<number, AbortController> = new Map();
  readonly #hookCalls: Map<number, HookCall> = new Map();
  #lastHookCall = 0;
  #handle: NodeHandle | undefined;

  constructor(ports: ThreadPorts, stop: () => void) {
    this.#ports = ports;
    this.#outlet = new ThreadOutlet(ports.memory.words, (notice) => ports.main.postMessage(notice));
    ports.main.on('message', (message: ToThread) => {
      if (message.kind === 'stop') stop();
      else this.#onMessage(message);
    });
  }

  /** From now on there is a node to ask. */
  run(handle: NodeHandle, dataDir: string | undefined): void {
    this.#handle = handle;
    answerQuestions(this.#ports.questions, this.#ports.memory.words, (question) => this.#answer(handle, question));
    this.#outlet.send({ kind: 'running', ...this.#readings(handle), dataDir });
  }

  started(outcome: { readonly failure: unknown } | undefined): void {
    if (outcome === undefined) this.#outlet.send({ kind: 'started' });
    else this.#outlet.send({ kind: 'startFailed', failure: failureOf(outcome.failure) });
  }

  tell(event: NodeEvent): void {
    this.#outlet.tellEvent(event);
  }

  /** Lets the application release; settles as its hook does. */
  release({ signal, ...call }: ReleaseCall): Promise<readonly ShardState[]> {
    return this.#callHook((id) => ({ kind: 'release', id, call }), signal);
  }

  /** Lets the application take shards over; settles as its hook does. */
  async acquire({ signal, ...call }: AcquireCall): Promise<void> {
    await this.#callHook((id) => ({ kind: 'acquire', id, call }), signal);
  }

  /** A call that is over before it was told is never told. */
  #callHook(noticeOf: (id: number) => FromThread, signal: AbortSignal): Promise<readonly ShardState[]> {
    this.#lastHookCall += 1;
    const id = this.#lastHookCall;
    return new Promise((resolve, reject) => {
      const notice = noticeOf(id);
      const onOver = (): void => {
        if (this.#outlet.withdraw((other) => other === notice).length === 0)
          this.#outlet.send({ kind: 'hookOver', id, reason: hookEndOf(signal) });
        else this.#settleHook(id)?.resolve([]);
      };
      const settled = (): void => signal.removeEventListener('abort', onOver);
      this.#hookCalls.set(id, {
        resolve: (states) => {
          settled();
          resolve(states);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
      this.#outlet.send(notice);
      signal.addEventListener('abort', onOver, { once: true });
    });
  }

  #settleHook(id: number): HookCall | undefined {
    const call = this.#hookCalls.get(id);
    this.#hookCalls.delete(id);
    return call;
  }

  /** The application's logger, as seen from here. */
  logger(rooms: readonly string[] = []): Logger {
    return {
      log: (level, event, fields) => this.#log(rooms, level, event, fields),
      child: (room) => this.logger([...rooms, room]),
    };
  }

  /** The last word: everything is closed. */
  end(): void {
    const handle = this.#handle;
    this.#outlet.send({ kind: 'ended', last: handle === undefined ? undefined : this.#readings(handle) });
  }

  #readings(handle: NodeHandle): LastReadings {
    return { view: this.#views.answer(handle.view(), 0), stats: handle.stats() };
  }

  #log(rooms: readonly string[], level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>): void {
    const notice = (plain: typeof fields): FromThread => ({ kind: 'log', rooms, level, event, fields: plain });
    this.#outlet.send(notice(plainFields(fields)));
  }

  #onMessage(message: Exclude<ToThread, { kind: 'stop' }>): void {
    switch (message.kind) {
      case 'call':
        this.#call(message.id, message.call);
        return;
      case 'abort':
        this.#calls.get(message.id)?.abort();
        return;
      case 'released':
        this.#handle?.released(message.version, message.states);
        return;
      case 'discovered':
        this.#handle?.discovered(message.found);
        return;
      case 'routed':
        this.#handle?.routed(message.report);
        return;
      case 'hookEnded':
        if (message.failure === undefined) this.#settleHook(message.id)?.resolve(message.states);
        else this.#settleHook(message.id)?.reject(new Error(message.failure));
        return;
      case 'more':
        this.#outlet.flush();
    }
  }

  #call(id: number, call: HandleCall): void {
    const handle = present(this.#handle, 'calls come after the word that the node runs');
    const controller = new AbortController();
    this.#calls.set(id, controller);
    void perform(handle, call, { signal: controller.signal })
      .then(
        (value): FromThread => ({ kind: 'answer', id, value }),
        (error: unknown): FromThread => ({ kind: 'failed', id, failure: failureOf(error) }),
      )
      .then((notice) => {
        this.#calls.delete(id);
        // Whoever aborted it has had its answer.
        if (!controller.signal.aborted) this.#outlet.send(notice);
      });
  }

  #answer(handle: NodeHandle, question: Question): Answer {
    switch (question.kind) {
      case 'view':
        return { kind: 'view', seq: this.#outlet.seq, view: this.#views.answer(handle.view(), question.basis) };
      case 'stats':
        return { kind: 'stats', stats: handle.stats() };
      case 'confirmShardMap':
        return { kind: 'confirmShardMap', ...handle.confirmShardMap(question.node, question.version) };
    }
  }
}

async function perform(handle: NodeHandle, call: HandleCall, options: CallOptions): Promise<CallValue> {
  switch (call.name) {
    case 'join':
      return await handle.join(call.addresses, { ...options, replay: call.replay });
    case 'gossip':
      return await handle.gossip(call.request, options);
    case 'kv':
      return await handle.kv(call.request, options);
    case 'backup':
      return await handle.backup(options);
    case 'planShards':
      return await handle.planShards(call.question, options);
    case 'configureShards':
      return await handle.configureShards(call.change, options);
    case 'setTags':
      await handle.setTags(call.tags, options);
      return undefined;
    case 'addNode':
    case 'removeNode':
      await handle[call.name](call.node, options);
      return undefined;
    case 'takeRestartPermit':
      await handle.takeRestartPermit(call.permit, options);
      return undefined;
    case 'giveRestartPermit':
      await handle.giveRestartPermit(call.holder, options);
      return undefined;
    case 'stepDown':
    case 'drain':
    case 'undrain':
      await handle[call.name](options);
      return undefined;
  }
}

/** A line is a line: what does not cross a thread goes as text. */
function plainFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, typeof value === 'object' ? clonable(value) : shown(value)]),
  );
}

function clonable(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch (error) {
    if (error instanceof DOMException) return String(value);
    throw error;
  }
}

function shown(value: unknown): unknown {
  return typeof value === 'function' || typeof value === 'symbol' ? String(value) : value;
}
