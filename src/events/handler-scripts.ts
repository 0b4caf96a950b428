/**
 * Runs the scripts that an operator gave for events, as Serf's agent runs them: one after the other, by `/bin/sh -c`, told by environment and
 * standard input; what a script prints answers a query. wire-gossip.md 19.3.
 */
import { spawn } from 'node:child_process';
import type { AgentEvent, AgentEventSource } from '../model/agent-event.ts';
import type { Member } from '../model/member.ts';
import type { Logger } from '../ports/logger.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';
import { type HandlerSpec, isWanted } from './handler-spec.ts';

/** The last bytes that a script prints are kept. serf: maxBufSize. */
const OUTPUT_BYTES_MAX = 8 * 1024;
/** Beyond it a warning is due. serf: warnSlow. */
const SLOW_MS = 1_000;
/** Serf waits for ever; a script that hangs would keep all later events from their handlers. */
const RUN_MS_MAX = 60_000;
/** Runs that wait for their turn. The oldest is dropped. */
const WAITING_MAX = 1_024;

export interface HandlerScriptsOptions {
  readonly handle: NodeHandle;
  readonly specs: readonly HandlerSpec[];
  readonly logger: Logger;
  readonly events: AgentEventSource;
}

interface Run {
  readonly spec: HandlerSpec;
  readonly event: AgentEvent;
}

export class HandlerScripts {
  readonly #options: HandlerScriptsOptions;
  readonly #unsubscribe: () => void;
  readonly #waiting: Run[] = [];
  #running: Promise<void> | undefined;
  #kill: (() => void) | undefined;
  #isClosed = false;

  /** Begins to listen at once. */
  constructor(options: HandlerScriptsOptions) {
    this.#options = options;
    this.#unsubscribe = options.events((event) => this.#onEvent(event));
  }

  /** Nothing is begun any more; the script that runs is ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unsubscribe();
    this.#waiting.length = 0;
    this.#kill?.();
    await this.#running;
  }

  #onEvent(event: AgentEvent): void {
    const name = 'name' in event ? event.name : undefined;
    for (const spec of this.#options.specs) {
      if (!isWanted(spec, event.event, name)) continue;
      this.#waiting.push({ spec, event });
      if (this.#waiting.length > WAITING_MAX) {
        this.#waiting.shift();
        this.#warn('too many events wait for their handlers: the oldest is dropped');
      }
    }
    this.#running ??= this.#runAll().finally(() => {
      this.#running = undefined;
    });
  }

  async #runAll(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) await this.#run(next);
  }

  async #run({ spec, event }: Run): Promise<void> {
    const { handle, logger } = this.#options;
    const begunAt = performance.now();
    const { output, cut, trouble } = await this.#execute(spec.script, environmentOf(event, handle), inputOf(event));
    const tookMs = Math.round(performance.now() - begunAt);
    logger.log('debug', 'handlerRun', { script: spec.script, event: event.event, tookMs, output: output.toString() });
    if (tookMs > SLOW_MS) this.#warn(`handler ${spec.script} was slow: ${tookMs} ms`);
    if (cut > 0)
      this.#warn(`handler ${spec.script} printed ${cut} bytes more than the ${OUTPUT_BYTES_MAX} that are kept`);
    if (trouble !== undefined) this.#warn(`handler ${spec.script} ${trouble}`);
    else if (event.event === 'query' && output.length > 0) {
      const outcome = await handle
        .gossip({ kind: 'respond', token: event.token, payload: output })
        .catch((error: Error) => ({ kind: 'refused', reason: error.message }) as const);
      if (outcome.kind === 'refused') this.#warn(`handler ${spec.script} answered a query in vain: ${outcome.reason}`);
    }
  }

  #execute(
    script: string,
    env: Readonly<Record<string, string>>,
    input: string | Uint8Array,
  ): Promise<{ readonly output: Buffer; readonly cut: number; readonly trouble: string | undefined }> {
    return new Promise((resolve) => {
      // A group of its own: what the script has started ends with it.
      const child = spawn('/bin/sh', ['-c', script], { env: { ...process.env, ...env }, detached: true });
      let wasKilled = false;
      const kill = (): void => {
        // The shell may have ended and left behind what holds its output open: the group is still there.
        if (child.pid === undefined) return;
        wasKilled = true;
        try {
          process.kill(-child.pid, 'SIGKILL');
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
        }
      };
      const limit = setTimeout(kill, RUN_MS_MAX);
      this.#kill = kill;
      if (this.#isClosed) kill();
      const tail = new Tail();
      const end = (trouble: string | undefined): void => {
        clearTimeout(limit);
        this.#kill = undefined;
        resolve({ output: tail.bytes, cut: tail.cut, trouble });
      };
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => tail.add(bytes));
      // A script need not read what it is told.
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
      child.once('error', (error) => end(`could not be run: ${error.message}`));
      child.once('close', (code, signal) => {
        if (wasKilled) end(`was ended after ${RUN_MS_MAX / 1_000} s, or as the node stopped`);
        else if (signal !== null) end(`was ended by ${signal}`);
        else end(code === 0 ? undefined : `ended with ${code}: ${tail.bytes.toString().trim()}`);
      });
    });
  }

  #warn(text: string): void {
    this.#options.logger.log('warn', 'handler', { text });
  }
}

/** The last bytes of what came. */
class Tail {
  bytes: Buffer = Buffer.alloc(0);
  cut = 0;

  add(more: Buffer): void {
    const all = Buffer.concat([this.bytes, more]);
    const over = Math.max(0, all.length - OUTPUT_BYTES_MAX);
    this.cut += over;
    this.bytes = all.subarray(over);
  }
}

function environmentOf(event: AgentEvent, handle: NodeHandle): Record<string, string> {
  const { id, members } = handle.view();
  const tags = members.find(({ name }) => name === id)?.tags ?? new Map<string, string>();
  const env: Record<string, string> = {
    SERF_EVENT: event.event,
    SERF_SELF_NAME: id,
    SERF_SELF_ROLE: tags.get('role') ?? '',
  };
  for (const [tag, value] of tags) env[`SERF_TAG_${tag.toUpperCase().replace(/[^A-Z0-9_]/g, '_')}`] = value;
  if (event.event === 'user') {
    env['SERF_USER_EVENT'] = event.name;
    env['SERF_USER_LTIME'] = String(event.lamportTime);
  } else if (event.event === 'query') {
    env['SERF_QUERY_NAME'] = event.name;
    env['SERF_QUERY_LTIME'] = String(event.lamportTime);
  }
  return env;
}

function inputOf(event: AgentEvent): string | Uint8Array {
  if ('members' in event) return event.members.map(memberLine).join('');
  const { payload } = event;
  return payload.length === 0 || payload.at(-1) === 0x0a ? payload : Buffer.concat([payload, Buffer.from('\n')]);
}

function memberLine({ name, address, tags }: Member): string {
  const pairs = [...tags].map(([tag, value]) => `${tag}=${value}`).join(',');
  return `${clean(name)}\t${address.host}\t${clean(tags.get('role') ?? '')}\t${clean(pairs)}\n`;
}

/** Tabs and line ends separate. */
function clean(text: string): string {
  return text.replaceAll('\t', '\\t').replaceAll('\n', '\\n');
}
