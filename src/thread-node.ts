/** A node in a thread of its own, seen from the application's: the thread's life, and who hears what it tells. `node-worker.ts` is the other end. */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MessageChannel, Worker } from 'node:worker_threads';
import { unreachable } from './base/assert.ts';
import { ConfigError, type NodeConfig } from './node-config.ts';
import { type NodeRunner, type NodeRunnerHooks, NodeThreadError, NotRunningError } from './node-runner.ts';
import type { ShardState } from './model/shard-map.ts';
import type { Logger } from './ports/logger.ts';
import {
  AlreadyMemberError,
  JoinFailedError,
  NotLeaderError,
  OutcomeUnknownError,
  RefusedError,
  StoppedError,
  StorageShortError,
  TagsTooLargeError,
  UnknownNodeError,
} from './runtime/handle-errors.ts';
import {
  BusyError,
  InvalidKvRequestError,
  NoLeaderError,
  ReplyGoneError,
  SessionExpiredError,
  SessionMisusedError,
  StoreFullError,
  TooLargeError,
} from './runtime/kv-errors.ts';
import { ownershipMemory } from './runtime/shared-ownership.ts';
import { HookOverError } from './ports/shard-hooks.ts';
import { type ErrorClass, errorFrom } from './runtime/thread-failures.ts';
import { type FromThread, type ThreadMemory, type ToThread, threadWords } from './runtime/thread-messages.ts';
import { ThreadNodeHandle } from './runtime/thread-node-handle.ts';
import { ThreadIntake } from './runtime/thread-outlet.ts';
import { ThreadAsker } from './runtime/thread-questions.ts';
import type { NodeThreadData } from './node-worker.ts';

/** What an application can know by `instanceof`: the errors that `index.ts` exports. */
const KNOWN_ERRORS: readonly ErrorClass[] = [
  ConfigError,
  NotRunningError,
  AlreadyMemberError,
  BusyError,
  InvalidKvRequestError,
  JoinFailedError,
  NoLeaderError,
  NotLeaderError,
  OutcomeUnknownError,
  RefusedError,
  ReplyGoneError,
  SessionExpiredError,
  SessionMisusedError,
  StoppedError,
  StorageShortError,
  StoreFullError,
  TagsTooLargeError,
  TooLargeError,
  UnknownNodeError,
];

/** Leaving takes 13 s at most, closing 8 s per part; a thread that hangs is ended after this long. */
const STOP_MS = 60_000;

export class ThreadNode implements NodeRunner {
  readonly #config: NodeConfig;
  readonly #hooks: NodeRunnerHooks;
  readonly #body: URL;
  readonly #memory: ThreadMemory = { ownership: ownershipMemory(), words: threadWords() };
  readonly #intake: ThreadIntake = new ThreadIntake(this.#memory.words, () => this.#post({ kind: 'more' }));
  readonly #hookCalls: Map<number, AbortController> = new Map();
  readonly #loggers: Map<string, Logger> = new Map();
  #worker: Worker | undefined;
  #asker: ThreadAsker | undefined;
  #handle: ThreadNodeHandle | undefined;
  #dataDir: string | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #started: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  #hasEnded = false;
  #onGone: () => void = () => undefined;
  /** Resolves when the thread is no more. */
  readonly #gone: Promise<void> = new Promise((resolve) => {
    this.#onGone = resolve;
  });

  /** `body`: the module that the thread runs. */
  constructor(config: NodeConfig, hooks: NodeRunnerHooks, body: URL = nodeWorker()) {
    this.#config = config;
    this.#hooks = hooks;
    this.#body = body;
  }

  get handle(): ThreadNodeHandle | undefined {
    return this.#handle;
  }

  get dataDir(): string | undefined {
    return this.#dataDir;
  }

  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(): Promise<void> {
    const settled = new Promise<void>((resolve, reject) => {
      this.#started = { resolve, reject };
    });
    this.#open();
    try {
      await settled;
    } catch (error) {
      await this.#gone;
      throw error;
    }
  }

  #open(): void {
    const questions = new MessageChannel();
    const memory = this.#memory;
    const data: NodeThreadData = {
      config: this.#config,
      hasLogger: this.#hooks.logger !== undefined,
      hasReleaseHook: this.#hooks.onRelease !== undefined,
      hasAcquireHook: this.#hooks.onAcquire !== undefined,
      servesBeforeAcquired: this.#hooks.servesBeforeAcquired === true,
      memory,
      questions: questions.port2,
    };
    const url = this.#body;
    let worker: Worker;
    try {
      // Flags of the program that embeds us, such as --input-type, may forbid what we do here.
      worker = new Worker(url, { workerData: data, transferList: [questions.port2], name: 'funknode', execArgv: [] });
    } catch (cause) {
      questions.port1.close();
      this.#onGone();
      throw unclonable(this.#config) ?? threadError(url, cause);
    }
    this.#worker = worker;
    this.#asker = new ThreadAsker(questions.port1, memory.words);
    worker.on('message', (notice: FromThread) => {
      this.#onNotice(notice);
      this.#intake.taken(notice);
    });
    worker.on('error', (cause) => this.#break(threadError(url, cause)));
    worker.on('exit', (code) => {
      this.#break(threadError(url, `it ended with ${code}`));
      this.#asker?.close();
      this.#onGone();
    });
  }

  async #stop(): Promise<void> {
    // A start that fails closes everything by itself.
    if (this.#worker === undefined) return;
    this.#post({ kind: 'stop' });
    const limit = setTimeout(() => void this.#worker?.terminate(), STOP_MS);
    await this.#gone;
    clearTimeout(limit);
  }

  #post(message: ToThread): void {
    if (!this.#hasEnded) this.#worker?.postMessage(message);
  }

  #onNotice(notice: FromThread): void {
    switch (notice.kind) {
      case 'running':
        this.#run(notice);
        return;
      case 'started':
        this.#started?.resolve();
        return;
      case 'startFailed':
        this.#started?.reject(errorFrom(notice.failure, KNOWN_ERRORS));
        return;
      case 'event':
        this.#hooks.onEvent(notice.event);
        this.#handle?.deliver(notice.seq, notice.event);
        return;
      case 'release':
        this.#callHook(notice.id, async (signal) => await this.#hooks.onRelease?.({ ...notice.call, signal }));
        return;
      case 'acquire':
        this.#callHook(notice.id, async (signal) => {
          await this.#hooks.onAcquire?.({ ...notice.call, signal });
          return [];
        });
        return;
      case 'hookOver':
        this.#hookCalls.get(notice.id)?.abort(new HookOverError(notice.reason));
        return;
      case 'log':
        this.#loggerOf(notice.rooms)?.log(notice.level, notice.event, notice.fields);
        return;
      case 'answer':
        this.#handle?.settle(notice.id, { value: notice.value });
        return;
      case 'failed':
        this.#handle?.settle(notice.id, { error: errorFrom(notice.failure, KNOWN_ERRORS) });
        return;
      case 'ended':
        this.#hasEnded = true;
        this.#handle?.end(notice.last);
        this.#endHooks();
        // Nothing is open there any more; whatever a library left behind must not keep the application alive.
        void this.#worker?.terminate();
        return;
      default:
        unreachable(notice);
    }
  }

  #run(notice: Extract<FromThread, { kind: 'running' }>): void {
    const link = {
      memory: this.#memory,
      post: (message: ToThread): void => this.#post(message),
      ask: (question: Parameters<ThreadAsker['ask']>[0]) => this.#asker?.ask(question),
    };
    this.#handle = new ThreadNodeHandle(link, notice);
    this.#dataDir = notice.dataDir;
  }

  /**
   * In this thread, also when there is no hook: what was begun under an `owns` is over when this thread comes to it, and not
   * before. So the promise of one thread holds: shards are released when the application's turn has ended, or its hook.
   */
  #callHook(id: number, call: (signal: AbortSignal) => Promise<readonly ShardState[] | undefined>): void {
    const controller = new AbortController();
    this.#hookCalls.set(id, controller);
    const end = (failure: string | undefined, states: readonly ShardState[] = []): void => {
      this.#hookCalls.delete(id);
      this.#post({ kind: 'hookEnded', id, failure, states });
    };
    call(controller.signal).then(
      (states) => end(undefined, states),
      (error: unknown) => end(String(error)),
    );
  }

  #loggerOf(rooms: readonly string[]): Logger | undefined {
    const [room, ...rest] = rooms.toReversed();
    if (room === undefined) return this.#hooks.logger;
    const key = rooms.join('/');
    const known = this.#loggers.get(key);
    if (known !== undefined) return known;
    const made = this.#loggerOf(rest.toReversed())?.child(room);
    if (made !== undefined) this.#loggers.set(key, made);
    return made;
  }

  /** The thread is gone without a last word. */
  #break(error: NodeThreadError): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#started?.reject(error);
    const event = { kind: 'stopped', reason: error.message, exitCode: error.exitCode } as const;
    this.#hooks.onEvent(event);
    this.#handle?.deliver(Number.MAX_SAFE_INTEGER, event);
    this.#handle?.end(undefined);
    this.#endHooks();
  }

  #endHooks(): void {
    for (const controller of this.#hookCalls.values()) controller.abort(new HookOverError('stopped'));
  }
}

/** Compiled, this file and the worker's end in `.js`; run as source, in `.ts`. */
function nodeWorker(): URL {
  return new URL(`./node-worker${extname(fileURLToPath(import.meta.url))}`, import.meta.url);
}

function threadError(url: URL, cause: unknown): NodeThreadError {
  const { code, message } = cause instanceof Error ? (cause as NodeJS.ErrnoException) : { code: '', message: cause };
  const advice =
    code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
      ? `. The program seems to be bundled: leave the package funknode out of the bundle, or set thread to 'caller'`
      : '';
  return new NodeThreadError(`the thread of the node (${url.href}) failed: ${String(message)}${advice}`, { cause });
}

/** Names the settings that cannot go to another thread. */
function unclonable(config: NodeConfig): ConfigError | undefined {
  const names = Object.entries(config).flatMap(([name, value]) => {
    try {
      structuredClone(value);
      return [];
    } catch (error) {
      if (error instanceof DOMException) return [name];
      throw error;
    }
  });
  if (names.length === 0) return undefined;
  return new ConfigError(
    names.map(
      (name) => `${name}: a value that is no plain data cannot go to the node's thread; thread 'caller' takes it`,
    ),
  );
}
