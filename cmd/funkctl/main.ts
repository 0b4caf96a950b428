#!/usr/bin/env node
/** `funkctl`: shows and steers a cluster. Only parses here; what a verb needs is loaded when it runs. */
import type { ShardSettingsChange } from '../../src/client.ts';
import type { PlanFlags, ResizeFlags, SetFlags, UnsetFlags } from './commands/shard-changes.ts';
import { readFileSync } from 'node:fs';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { parseDurationMs } from './durations.ts';
import { EXIT_DONE, EXIT_USAGE, exitCodeOf } from './exit-codes.ts';
import type { CasFlags, GetFlags } from './commands/kv.ts';
import type { GlobalOptions } from './options.ts';

/** Waiting for work in flight on the drained node takes longer than an answer. */
const DRAIN_TIMEOUT_MS = 120_000;
/** Members answer by gossip: the larger the cluster, the longer it takes. */
const KEYS_TIMEOUT_MS = 60_000;
/** A state may have many megabytes. */
const BACKUP_TIMEOUT_MS = 120_000;

function program(): Command {
  const funkctl = new Command('funkctl')
    .description('Shows and steers a funknode cluster.')
    .version(version(), '--version', 'print the version')
    .addOption(new Option('-e, --endpoint <host:port>', 'management endpoint of any node').env('FUNKCTL_ENDPOINT'))
    .option('-n, --cluster-name <name>', 'cluster to look for (mDNS: clusterfunk unless given)')
    .option('--interface <address>', 'interface to look on by mDNS')
    .option('-z, --zeroconf [bool]', 'look for nodes by mDNS when none is named', parseSwitch, true)
    .addOption(
      new Option('--timeout <duration>', 'how long to wait for an answer (10s; drain, backup: 2m; keys: 1m)').argParser(
        parseTimeout,
      ),
    )
    .option('--json', 'print JSON', false)
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  addReadingVerbs(funkctl);
  addSteeringVerbs(funkctl);
  addGossipVerbs(funkctl);
  addMeasuringVerbs(funkctl);
  addKeyVerbs(funkctl);
  addKvVerbs(funkctl);
  return funkctl;
}

function addReadingVerbs(funkctl: Command): void {
  verb(funkctl, 'status', 'what a node says of itself and its cluster').action(async (_options, command) => {
    const { showStatus } = await import('./commands/status.ts');
    await showStatus(globals(command));
  });
  verb(funkctl, 'nodes', 'the nodes as the leader sees them')
    .addOption(new Option('--show-all').hideHelp())
    .action(async (_options, command) => {
      const { showNodes } = await import('./commands/nodes.ts');
      await showNodes(globals(command));
    });
  verb(funkctl, 'members', 'everybody the node knows: role, age, state, last heartbeat')
    .option('--tags', 'show gossip addresses and tags too')
    .option('--name <regex>', 'only members whose whole name it fits')
    .option('--status <regex>', 'only members in such a state: alive, leaving, left, failed')
    .option('--tag <tag=regex>', 'only members whose whole tag it fits; may be given again', gathered, [])
    .action(async (flags: MemberFlags, command) => {
      const { showMembers } = await import('./commands/members.ts');
      await showMembers({ ...globals(command), ...flags });
    });
  verb(funkctl, 'endpoints', 'what the nodes publish')
    .argument('[filter]', 'a part of the name')
    .option('--filter <text>', 'a part of the name')
    .option('--service <name>', 'nodes of this service only')
    .option('--show-inactive', 'those of nodes that are not alive too', false)
    .addOption(
      new Option('--format <format>', 'shape of the output')
        .choices(['tree', 'plain', 'json', 'namevalue'])
        .default('tree'),
    )
    .action(async (positional: string | undefined, given: EndpointFlags, command) => {
      const { showEndpoints } = await import('./commands/endpoints.ts');
      await showEndpoints({ ...globals(command), ...given, filter: positional ?? given.filter ?? '' });
    });
  addShardVerbs(funkctl);
  verb(funkctl, 'watch', 'one line per change, until interrupted')
    .option('--full', 'list every shard of a map in JSON')
    .action(async ({ full }: { full?: boolean }, command) => {
      const { watchNode } = await import('./commands/watch.ts');
      await watchNode({ ...globals(command), full: full === true });
    });
  verb(funkctl, 'backup', 'copy what the cluster has agreed on into a file; any node has it')
    .argument('<file>', 'where; it must not be there yet')
    .action(async (file: string, _options, command) => {
      const { takeBackup } = await import('./commands/backup.ts');
      await takeBackup(file, globals(command, BACKUP_TIMEOUT_MS));
    });
  verb(funkctl, 'diag', 'what mDNS finds').action(async (_options, command) => {
    const { diagnose } = await import('./commands/diag.ts');
    await diagnose(globals(command));
  });
}

function addShardVerbs(funkctl: Command): void {
  const shards = verb(funkctl, 'shards', 'how the shards are spread, why, and what to change about it');
  shards.action(async (_options, command) => {
    const { showShards } = await import('./commands/shards.ts');
    await showShards(globals(command));
  });
  verb(shards, 'show', 'who owns a shard, and who stands by for it')
    .argument('<shard>', 'its number, from 0')
    .option('--of <count>', 'of how many shards, while their number changes')
    .action(async (shard: string, { of }: { of?: string }, command) => {
      const [{ showShard }, { parseCount }] = await Promise.all([
        import('./commands/shards.ts'),
        import('./commands/shard-changes.ts'),
      ]);
      const count = of === undefined ? undefined : parseCount(of, '--of');
      await showShard(parseCount(shard, 'the shard'), count, globals(command));
    });
  ruled(verb(shards, 'plan', 'what would move, where and why, if; nothing is changed'), 'with-')
    .option('--without <node>', 'as if it were dead; may be given again', gathered, [])
    .option('--with <node>', 'as if it were here too; may be given again', gathered, [])
    .action(async (flags: PlanFlags, command) => {
      const [{ planShards }, { plannedChange }] = await Promise.all([
        import('./commands/shards-plan.ts'),
        import('./commands/shard-changes.ts'),
      ]);
      await planShards({ without: flags.without, joined: flags.with, change: plannedChange(flags) }, globals(command));
    });
  verb(shards, 'settings', 'what is agreed on about the spread of shards').action(async (_options, command) => {
    const { showSettings } = await import('./commands/shards-configure.ts');
    await showSettings(globals(command));
  });
  ruled(verb(shards, 'set', 'agree on something else; nodes begin to move shards at once'), '')
    .option('--worker-quarantine <duration>', 'how long a worker id rests before another process may have it')
    .action(async (flags: SetFlags, command) => {
      await configure(command, async () => (await import('./commands/shard-changes.ts')).setChange(flags));
    });
  verb(shards, 'unset', 'take back what was agreed on')
    .option('--replicas', 'no standbys')
    .option('--move-cap', 'any number of moves in one map')
    .option('--worker-quarantine', 'worker ids rest as long as they do by default')
    .option('--weight <node>', 'the node has the weight that it says itself; may be given again', gathered, [])
    .option('--cost <shards>', 'they cost 1; may be given again', gathered, [])
    .option('--pin <shards>', 'they may be anywhere; may be given again', gathered, [])
    .option('--avoid <shards=node>', 'they may be on the node; may be given again', gathered, [])
    .option('--exclude <node>', 'the node takes shards; may be given again', gathered, [])
    .action(async (flags: UnsetFlags, command) => {
      await configure(command, async () => (await import('./commands/shard-changes.ts')).unsetChange(flags));
    });
  verb(shards, 'resize', 'change the number of shards: both numbers live until it is done')
    .argument('[count]', 'begin: shards of this number get owners too')
    .option('--done', 'end it: the shards of the older number have owners no more')
    .option('--abort', 'take it back: the shards of the new number have owners no more')
    .action(async (count: string | undefined, flags: ResizeFlags, command) => {
      await configure(command, async () => (await import('./commands/shard-changes.ts')).resizeChange(count, flags));
    });
}

async function configure(command: Command, changeOf: () => Promise<ShardSettingsChange>): Promise<void> {
  const { configureShards } = await import('./commands/shards-configure.ts');
  await configureShards(await changeOf(), globals(command));
}

/** What may be agreed on, and tried in a plan. */
function ruled(command: Command, prefix: string): Command {
  return command
    .option(`--${prefix}replicas <n>`, 'standbys of each shard, in other zones when there are enough')
    .option(`--${prefix}move-cap <n>`, 'shards that one map takes from nodes that serve them; 0 for any number')
    .option(`--${prefix}weight <node=number>`, 'its share beside the others; may be given again', gathered, [])
    .option(`--${prefix}cost <shards=number>`, 'what these shards cost: 7 or 0-99; may be given again', gathered, [])
    .option(`--${prefix}pin <shards=node>`, 'these shards belong on the node; may be given again', gathered, [])
    .option(`--${prefix}avoid <shards=node>`, 'no copy of them may be on the node; may be given again', gathered, [])
    .option(`--${prefix}exclude <node>`, 'the node takes no shards; may be given again', gathered, []);
}

interface MemberFlags {
  readonly tags?: boolean;
  readonly name?: string;
  readonly status?: string;
  readonly tag: readonly string[];
}

interface EndpointFlags {
  readonly filter?: string;
  readonly service?: string;
  readonly showInactive: boolean;
  readonly format: string;
}

function addSteeringVerbs(funkctl: Command): void {
  const node = verb(funkctl, 'node', 'add and remove nodes');
  identified(verb(node, 'add', 'make a node a voter')).action(async (positional, { id }: { id?: string }, command) => {
    const { addNode } = await import('./commands/node-add.ts');
    await addNode(idOf(command, positional ?? id), globals(command));
  });
  identified(verb(node, 'rm', 'take a node out of the cluster, a dead one too'))
    .alias('remove')
    .action(async (positional, { id }: { id?: string }, command) => {
      const { removeNode } = await import('./commands/node-rm.ts');
      await removeNode(idOf(command, positional ?? id), globals(command));
    });
  verb(funkctl, 'step-down', 'make the leader hand over').action(async (_options, command) => {
    const { stepDown } = await import('./commands/step-down.ts');
    await stepDown(globals(command));
  });
  verb(funkctl, 'drain', "move a node's shards away; it gets none until undrain, or its next start")
    .argument('[id]', 'the node; the one that is asked unless given')
    .option('--cancel', 'take it back, as undrain does')
    .action(async (id: string | undefined, { cancel }: { cancel?: boolean }, command) => {
      const { drainNode, undrainNode } = await import('./commands/drain.ts');
      if (cancel === true) await undrainNode(id, globals(command));
      else await drainNode(id, globals(command, DRAIN_TIMEOUT_MS));
    });
  verb(funkctl, 'undrain', 'give a drained node shards again')
    .argument('[id]', 'the node; the one that is asked unless given')
    .action(async (id: string | undefined, _options, command) => {
      const { undrainNode } = await import('./commands/drain.ts');
      await undrainNode(id, globals(command));
    });
  addPermitVerbs(funkctl);
  verb(funkctl, 'join', 'make a node gossip with these addresses')
    .addArgument(new Argument('<addresses...>', 'host:port, or a host alone for port 7946'))
    .action(async (addresses: string[], _options, command) => {
      const { joinAddresses } = await import('./commands/join.ts');
      await joinAddresses(addresses, globals(command));
    });
}

function addKeyVerbs(funkctl: Command): void {
  const keys = verb(funkctl, 'keys', 'the keys that gossip is encrypted with, on every member');
  for (const [operation, description] of [
    ['list', 'which keys there are, and on how many members'],
    ['install', 'add a key that opens what others seal'],
    ['use', 'make an installed key the one that seals'],
    ['remove', 'forget a key that seals no more'],
  ] as const) {
    const one = verb(keys, operation, description);
    if (operation !== 'list') one.argument('<key>', 'in base64');
    one.action(async (...args: unknown[]) => {
      const command = args.at(-1) as Command;
      const { manageKeys } = await import('./commands/keys.ts');
      await manageKeys(operation, command.args[0], globals(command, KEYS_TIMEOUT_MS));
    });
  }
  verb(funkctl, 'keygen', 'print a new key').action(async (_options, command: Command) => {
    const { printNewKey } = await import('./commands/keygen.ts');
    printNewKey(globals(command).json);
  });
}

function addKvVerbs(funkctl: Command): void {
  const kv = verb(funkctl, 'kv', 'keys and values that the cluster agrees on');
  verb(kv, 'get', 'show the value of a key')
    .argument('<key>')
    .option('--prefix', 'all keys that begin so, a line each')
    .option('--keys-only', 'without values')
    .option('--limit <n>', 'at most so many', parseCount)
    .option('--stale', 'what the node has, even while nobody leads')
    .action(async (key: string, flags: GetFlags, command) => {
      const { getKeys } = await import('./commands/kv.ts');
      await getKeys(key, flags, globals(command));
    });
  verb(kv, 'put', 'write a key')
    .argument('<key>')
    .argument('<value>', 'text; - for what comes on stdin')
    .action(async (key: string, value: string, _flags, command) => {
      const { putKey } = await import('./commands/kv.ts');
      await putKey(key, value, globals(command));
    });
  verb(kv, 'del', 'delete a key')
    .argument('<key>')
    .option('--prefix', 'all keys that begin so')
    .action(async (key: string, flags: GetFlags, command) => {
      const { deleteKeys } = await import('./commands/kv.ts');
      await deleteKeys(key, flags, globals(command));
    });
  verb(kv, 'cas', 'write a key if it is as expected; ends with 1 if it is not')
    .argument('<key>')
    .argument('<value>', 'text; - for what comes on stdin')
    .option('--expect <value>', 'it has this value')
    .option('--expect-revision <n>', 'it was last written by this revision', parseCount)
    .option('--expect-absent', 'it is not there')
    .action(async (key: string, value: string, flags: CasFlags, command) => {
      const { compareAndSet } = await import('./commands/kv.ts');
      await compareAndSet(key, value, flags, globals(command));
    });
}

function addPermitVerbs(funkctl: Command): void {
  const permit = verb(funkctl, 'restart-permit', 'who may restart a node: one at a time, while all is well');
  verb(permit, 'acquire', 'take it; it ends when the node is back, by release, or when its time is up')
    .option('--holder <name>', 'in whose name (the node id)')
    .option('--node <id>', 'the node that is to be restarted (the one that is asked)')
    .addOption(new Option('--lease <duration>', 'when it ends by itself (5m)').argParser(parseTimeout))
    .addOption(new Option('--wait [duration]', 'wait until it can be had (10m)').preset('10m').argParser(parseTimeout))
    .action(async ({ lease, wait, ...names }: PermitVerbFlags, command) => {
      const { takePermit } = await import('./commands/restart-permit.ts');
      const times = { ...(lease !== undefined && { leaseMs: lease }), ...(wait !== undefined && { waitMs: wait }) };
      await takePermit({ ...names, ...times }, globals(command));
    });
  verb(permit, 'release', 'give it back before its time')
    .option('--holder <name>', 'whose it is (the id of the node that is asked)')
    .action(async ({ holder }: PermitVerbFlags, command) => {
      const { givePermit } = await import('./commands/restart-permit.ts');
      await givePermit(holder, globals(command));
    });
}

interface PermitVerbFlags {
  readonly holder?: string;
  readonly node?: string;
  readonly lease?: number;
  readonly wait?: number;
}

function addGossipVerbs(funkctl: Command): void {
  verb(funkctl, 'event', 'send a user event to every member')
    .argument('<name>', 'what happened')
    .argument('[payload]', 'text that goes with it', '')
    .option('--no-coalesce', 'receivers are to be told each one, not the newest of a name only')
    .action(async (name: string, payload: string, { coalesce }: { coalesce: boolean }, command) => {
      const { sendEvent } = await import('./commands/event.ts');
      await sendEvent({ name, payload, coalesce }, globals(command));
    });
  verb(funkctl, 'query', 'ask the members, and show who acknowledges and what they answer')
    .argument('<name>', 'what is asked')
    .argument('[payload]', 'text that goes with it', '')
    .option('--node <name>', 'only this member; may be given again', gathered, [])
    .option('--tag <tag=regex>', 'only members with a match in this tag; may be given again', gathered, [])
    .option('--no-ack', 'acknowledgements are not wanted')
    .addOption(new Option('--relay-factor <n>', 'answers come through so many others too: 0 to 5').default('0'))
    .addOption(
      new Option('--wait <duration>', 'how long to gather; grows with the cluster unless given').argParser(
        parseTimeout,
      ),
    )
    .action(async (name: string, payload: string, flags: QueryFlags, command) => {
      const { askMembers } = await import('./commands/query.ts');
      await askMembers({ name, payload, ...flags }, globals(command));
    });
  verb(funkctl, 'force-leave', 'declare a failed member to have left')
    .argument('<name>', 'the member')
    .option('--prune', 'forget it altogether', false)
    .action(async (name: string, { prune }: { prune: boolean }, command) => {
      const { forceLeave } = await import('./commands/force-leave.ts');
      await forceLeave(name, prune, globals(command));
    });
}

function addMeasuringVerbs(funkctl: Command): void {
  verb(funkctl, 'rtt', 'the round trip between two members, estimated from network coordinates')
    .argument('<from>', 'a member')
    .argument('[to]', 'another; the node that is asked unless given')
    .action(async (from: string, to: string | undefined, _options, command) => {
      const { showRoundTrip } = await import('./commands/rtt.ts');
      await showRoundTrip(from, to, globals(command));
    });
  verb(funkctl, 'reachability', 'compare who is said to be alive with who answers')
    .option('--verbose', 'show each answer', false)
    .action(async ({ verbose }: { verbose: boolean }, command) => {
      const { testReachability } = await import('./commands/reachability.ts');
      await testReachability({ ...globals(command), verbose });
    });
}

interface QueryFlags {
  readonly node: readonly string[];
  readonly tag: readonly string[];
  readonly ack: boolean;
  readonly relayFactor: string;
  readonly wait?: number;
}

function gathered(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function verb(parent: Command, name: string, description: string): Command {
  return parent.command(name).description(description).exitOverride();
}

/** A node's id, by position or by clusterfunk's flag. */
function identified(command: Command): Command {
  return command.argument('[id]', 'the node').option('-N, --id <id>', 'the node');
}

function idOf(command: Command, id: string | undefined): string {
  return id ?? command.error(`error: which node? try: funkctl node ${command.name()} <id>`, { exitCode: EXIT_USAGE });
}

function globals(command: Command, timeoutMs = 10_000): GlobalOptions {
  const { endpoint, clusterName, zeroconf, timeout, json, ...rest } = command.optsWithGlobals<{
    endpoint?: string;
    clusterName?: string;
    interface?: string;
    zeroconf: boolean;
    timeout?: number;
    json: boolean;
  }>();
  return {
    ...(endpoint === undefined || endpoint === '' ? {} : { endpoint }),
    ...(rest.interface === undefined ? {} : { interface: rest.interface }),
    ...(clusterName === undefined ? {} : { clusterName }),
    zeroconf,
    timeoutMs: timeout ?? timeoutMs,
    json,
  };
}

function parseSwitch(text: string): boolean {
  if (/^(?:true|1|yes|on)$/i.test(text)) return true;
  if (/^(?:false|0|no|off)$/i.test(text)) return false;
  throw new InvalidArgumentError('It is true or false.');
}

/** A switch may stand alone, so what follows it is its value only when it reads like one. */
function withPlainSwitches(args: readonly string[]): string[] {
  return args.map((arg, at) => {
    const name = /^(-z|--zeroconf|--zero-conf)(?:=(.*))?$/.exec(arg);
    if (name === null) return arg;
    if (name[2] !== undefined) return `--zeroconf=${name[2]}`;
    return /^(?:true|false|[01]|yes|no|on|off)$/i.test(args[at + 1] ?? '') ? '--zeroconf' : '--zeroconf=true';
  });
}

function parseCount(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('It is no whole number.');
}

function parseTimeout(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms <= 0) throw new InvalidArgumentError('It is a duration such as 500ms, 10s or 2m.');
  return ms;
}

/** The package's, wherever this file was built to. */
function version(): string {
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      const found: unknown = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8'));
      if (typeof found === 'object' && found !== null && 'version' in found) return String(found.version);
    } catch {
      // Built files lie one folder deeper than sources: the other place has it.
    }
  }
  return 'unknown';
}

async function main(): Promise<void> {
  // Whoever reads us may have seen enough (`funkctl watch | head`).
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT_DONE);
    throw error;
  });
  process.exitCode = await run();
  // A connection that never came to be would hold the process for as long as TCP tries.
  process.stdout.write('', () => process.exit());
}

/** Resolves with the exit code. */
async function run(): Promise<number> {
  try {
    await program().parseAsync(withPlainSwitches(process.argv.slice(2)), { from: 'user' });
    return EXIT_DONE;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_DONE : EXIT_USAGE;
    process.stderr.write(`funkctl: ${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodeOf(error);
  }
}

await main();
