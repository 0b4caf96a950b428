/** What the flags of `funkctl shards set`, `unset`, `plan` and `resize` mean. */
import type { ShardSettingsChange } from '../../../src/client.ts';
import { parseDurationMs } from '../durations.ts';
import { EXIT_USAGE, ExitError } from '../exit-codes.ts';

export interface SetFlags {
  readonly replicas?: string;
  readonly moveCap?: string;
  readonly workerQuarantine?: string;
  readonly weight: readonly string[];
  readonly cost: readonly string[];
  readonly pin: readonly string[];
  readonly avoid: readonly string[];
  readonly exclude: readonly string[];
}

export interface PlanFlags {
  readonly without: readonly string[];
  readonly with: readonly string[];
  readonly withReplicas?: string;
  readonly withMoveCap?: string;
  readonly withWeight: readonly string[];
  readonly withCost: readonly string[];
  readonly withPin: readonly string[];
  readonly withAvoid: readonly string[];
  readonly withExclude: readonly string[];
}

export interface UnsetFlags {
  readonly replicas?: boolean;
  readonly moveCap?: boolean;
  readonly workerQuarantine?: boolean;
  readonly weight: readonly string[];
  readonly cost: readonly string[];
  readonly pin: readonly string[];
  readonly avoid: readonly string[];
  readonly exclude: readonly string[];
}

export interface ResizeFlags {
  readonly done?: boolean;
  readonly abort?: boolean;
}

/** As `WORKER_QUARANTINE_MS` has it. */
const WORKER_QUARANTINE_DEFAULT_MS = 3_600_000;

export function setChange(flags: SetFlags): ShardSettingsChange {
  const change: ShardSettingsChange = {
    ...(flags.replicas !== undefined && { replicas: parseCount(flags.replicas, '--replicas') }),
    ...(flags.moveCap !== undefined && { moveCap: parseCount(flags.moveCap, '--move-cap') }),
    ...(flags.workerQuarantine !== undefined && { workerQuarantineMs: parseQuarantine(flags.workerQuarantine) }),
    ...(flags.weight.length > 0 && { nodeWeights: flags.weight.map(weightOf) }),
    ...(flags.cost.length > 0 && { shardCosts: flags.cost.map(costOf) }),
    ...(flags.pin.length > 0 && { pin: flags.pin.map((text) => ruleOf(text, '--pin')) }),
    ...(flags.avoid.length > 0 && { avoid: flags.avoid.map((text) => ruleOf(text, '--avoid')) }),
    ...(flags.exclude.length > 0 && { exclude: flags.exclude }),
  };
  return someChange(change);
}

/** Of a plan; an empty change is fine there. */
export function plannedChange(flags: PlanFlags): ShardSettingsChange {
  const { withReplicas: replicas, withMoveCap: moveCap } = flags;
  return {
    ...(replicas !== undefined && { replicas: parseCount(replicas, '--with-replicas') }),
    ...(moveCap !== undefined && { moveCap: parseCount(moveCap, '--with-move-cap') }),
    nodeWeights: flags.withWeight.map(weightOf),
    shardCosts: flags.withCost.map(costOf),
    pin: flags.withPin.map((text) => ruleOf(text, '--with-pin')),
    avoid: flags.withAvoid.map((text) => ruleOf(text, '--with-avoid')),
    exclude: flags.withExclude,
  };
}

export function unsetChange(flags: UnsetFlags): ShardSettingsChange {
  return someChange({
    ...(flags.replicas === true && { replicas: 0 }),
    ...(flags.moveCap === true && { moveCap: 0 }),
    ...(flags.workerQuarantine === true && { workerQuarantineMs: WORKER_QUARANTINE_DEFAULT_MS }),
    ...(flags.weight.length > 0 && { nodeWeights: flags.weight.map((node) => ({ node, weight: undefined })) }),
    ...(flags.cost.length > 0 && { shardCosts: flags.cost.map((text) => ({ ...rangeOf(text, '--cost'), cost: 1 })) }),
    ...(flags.pin.length > 0 && { unpin: flags.pin.map((text) => rangeOf(text, '--pin')) }),
    ...(flags.avoid.length > 0 && { unavoid: flags.avoid.map((text) => ruleOf(text, '--avoid')) }),
    ...(flags.exclude.length > 0 && { include: flags.exclude }),
  });
}

export function resizeChange(count: string | undefined, { done, abort }: ResizeFlags): ShardSettingsChange {
  const wishes = [count !== undefined, done === true, abort === true].filter(Boolean).length;
  if (wishes !== 1) throw usage('one of these: a number of shards to begin with, --done, --abort');
  if (count !== undefined) return { resize: { kind: 'begin', to: parseCount(count, 'the number of shards') } };
  return { resize: { kind: done === true ? 'done' : 'abort' } };
}

/** A whole number that is not negative. */
export function parseCount(text: string, what: string): number {
  if (!/^\d{1,9}$/.test(text)) throw usage(`${what} is ${text}; it must be a whole number`);
  return Number(text);
}

function parseQuarantine(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined) throw usage(`--worker-quarantine is ${text}; it must be a duration such as 1h`);
  return Math.round(ms);
}

function weightOf(text: string): { readonly node: string; readonly weight: number } {
  const [node, value] = halves(text, '--weight', 'node=number');
  const weight = Number(value);
  if (!(weight > 0)) throw usage(`--weight is ${text}; the number must be above 0`);
  return { node, weight };
}

function costOf(text: string): { readonly from: number; readonly to: number; readonly cost: number } {
  const [shards, cost] = halves(text, '--cost', 'shards=number');
  return { ...rangeOf(shards, '--cost'), cost: parseCount(cost, '--cost') };
}

function ruleOf(text: string, flag: string): { readonly from: number; readonly to: number; readonly node: string } {
  const [shards, node] = halves(text, flag, 'shards=node');
  return { ...rangeOf(shards, flag), node };
}

/** `7`, or `0-99`. */
function rangeOf(text: string, flag: string): { readonly from: number; readonly to: number } {
  const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(text);
  if (match === null) throw usage(`${flag} names shards ${text}; it must be one number, or two as in 0-99`);
  const from = Number(match[1]);
  return { from, to: match[2] === undefined ? from : Number(match[2]) };
}

function halves(text: string, flag: string, form: string): [string, string] {
  const at = text.indexOf('=');
  if (at <= 0 || at === text.length - 1) throw usage(`${flag} is ${text}; it must be ${form}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function someChange(change: ShardSettingsChange): ShardSettingsChange {
  if (Object.keys(change).length === 0) throw usage('what? `funkctl shards set --help` lists what can be agreed on');
  return change;
}

function usage(text: string): ExitError {
  return new ExitError(EXIT_USAGE, text);
}
