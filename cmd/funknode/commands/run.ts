/** `funknode`: starts a node, tells what happens to it, and takes it out of the cluster when it is asked to stop. */
import { FunkNode } from '../../../src/index.ts';
import { configWarnings, type NodeConfig } from '../../../src/node-config.ts';
import { bannerFields, bannerText } from '../banner.ts';
import { EXIT_BROKEN, EXIT_DONE, exitCodeOf } from '../exit-codes.ts';
import { type Log, openLog } from '../logging.ts';
import { Narrator } from '../narrator.ts';
import { listenForStop } from '../signals.ts';

/** More than the one or two that it takes; a banner without endpoints is better than none. */
const TURNS_MAX = 100;

export interface RunFacts {
  readonly version: string;
  readonly config: NodeConfig;
  readonly warnings: readonly string[];
  /** Told when the node runs; what it returns is called before the node stops. */
  readonly onRunning?: (node: FunkNode) => () => void;
}

/** Resolves with the exit code when the node has stopped. */
export async function runNode({ version, config, warnings, onRunning }: RunFacts): Promise<number> {
  const log = await openLog({ level: config.logLevel, format: config.logFormat, isTerminal: process.stderr.isTTY });
  const stopAsked = listenForStop(
    process,
    () => performance.now(),
    (code) => process.exit(code),
  );
  crashLoudly(log);
  for (const warning of warnings) log.say('warn', 'setting', warning);
  for (const warning of configWarnings(config)) log.say('warn', 'warning', warning);
  // This program does nothing but run a node: a second thread would only cost memory.
  const node = new FunkNode({ ...config, thread: config.thread ?? 'caller' }, { logger: log });
  using narrator = new Narrator(node, log);
  const ended = new Promise<number>((resolve) => {
    node.subscribe((event) => {
      if (event.kind === 'stopped') resolve(event.exitCode);
    });
  });
  narrator.start();
  let endShow: () => void = () => undefined;
  try {
    // A signal may come while the node still starts: then it stops from wherever it is.
    const started = node.start();
    const first = await Promise.race([started.then(() => undefined), stopAsked, ended]);
    // A start that fails closes what it opened and says so too: what went wrong is in its error.
    if (typeof first === 'number') await started;
    if (first === undefined) {
      await hasPublished(node);
      log.nameNode(node.id);
      showBanner(log, { version, config, view: node.view(), dataDir: node.dataDir });
      narrator.tell();
      endShow = onRunning?.(node) ?? endShow;
    }
    const cause = first ?? (await Promise.race([stopAsked, ended]));
    endShow();
    if (cause === EXIT_DONE) await node.stop();
    if (typeof cause === 'number') return cause;
    log.say('info', 'stopping', `${cause}: leaving the cluster in order; again to stop at once`);
    narrator.isStopping = true;
    await node.stop();
    return EXIT_DONE;
  } catch (error) {
    endShow();
    log.say('error', 'failed', (error as Error).message);
    await node.stop().catch((later: unknown) => log.say('error', 'failed', String(later)));
    return exitCodeOf(error);
  }
}

/** The node takes in its own start a turn later; then it knows what it publishes. */
async function hasPublished(node: FunkNode): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX && node.view().endpoints.size === 0; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function showBanner(log: Log, facts: Parameters<typeof bannerText>[0]): void {
  if (log.isText) process.stderr.write(bannerText(facts));
  else log.say('info', 'started', `funknode ${facts.version}`, bannerFields(facts));
}

/** What nobody expected leaves nothing to rely upon: say what it was, and end without another word to the cluster. */
function crashLoudly(log: Log): void {
  const crash = (error: unknown): void => {
    log.say('error', 'broken', error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exit(EXIT_BROKEN);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
}
