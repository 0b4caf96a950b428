/** Gathers every setting from flags, environment and file, the nearer source before the farther, and keeps where each came from. */
import { type NodeConfig, resolveNodeConfig } from '../../src/node-config.ts';
import { thisHost } from '../../src/node-config/host-interface.ts';
import { nearestName } from '../../src/node-config/nearest-name.ts';
import {
  environmentName,
  OPTION_KEYS,
  type OptionKey,
  optionMeta,
  optionName,
} from '../../src/node-config/option-table.ts';
import { type GivenFlag, SPELLINGS } from './arguments.ts';
import { readSettingsFile } from './settings-file.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Setting {
  readonly value: unknown;
  readonly source: 'flag' | 'environment' | 'file';
  /** `--voters`, `FUNKNODE_VOTERS`, `node.yaml:4:13: voters` */
  readonly place: string;
}

export interface Settings {
  readonly given: ReadonlyMap<OptionKey, Setting>;
  readonly problems: readonly string[];
  /** Worth a line, but no reason to stop. */
  readonly warnings: readonly string[];
}

export interface Sources {
  readonly flags: readonly GivenFlag[];
  readonly environment: Environment;
  readonly file: string | undefined;
}

const PREFIX = 'FUNKNODE_';
/** Variables with our prefix that are no settings: where the file is, and what the tests of this package listen to. */
const OTHER_VARIABLES = [
  'FUNKNODE_CONFIG',
  'FUNKNODE_LONG',
  'FUNKNODE_PEERS',
  'FUNKNODE_SIM_FROM',
  'FUNKNODE_SIM_SEEDS',
];

export function gatherSettings(sources: Sources): Settings {
  const problems: string[] = [];
  const warnings: string[] = [];
  const given = new Map<OptionKey, Setting>();
  const layers = [
    fromFile(sources.file, problems),
    fromEnvironment(sources.environment, problems, warnings),
    fromFlags(sources.flags),
  ];
  for (const layer of layers) for (const [key, setting] of layer) given.set(key, setting);
  return { given, problems, warnings };
}

/** @throws {ConfigError} with every problem of all sources. */
export function resolveSettings(settings: Settings): NodeConfig {
  const options = Object.fromEntries([...settings.given].map(([key, { value }]) => [key, value]));
  return resolveNodeConfig(options, {
    host: thisHost(),
    places: new Map([...settings.given].map(([key, { place }]) => [key, place])),
    problems: settings.problems,
    nameOf: (key) => `--${optionName(key)}`,
  });
}

function fromFlags(flags: readonly GivenFlag[]): Map<OptionKey, Setting> {
  const found = new Map<OptionKey, Setting>();
  for (const { key, flag, value } of flags) {
    const before = found.get(key);
    // Repeated flags gather; of all others the last one counts, so that a wrapper's flags can be overruled.
    const isGathered = optionMeta(key).isRepeatable === true && before !== undefined;
    const gathered = isGathered ? [...(before.value as readonly string[]), value] : [value];
    found.set(key, { value: optionMeta(key).isRepeatable === true ? gathered : value, source: 'flag', place: flag });
  }
  return found;
}

function fromEnvironment(environment: Environment, problems: string[], warnings: string[]): Map<OptionKey, Setting> {
  const found = new Map<OptionKey, Setting>();
  const names = new Map([...SPELLINGS.values()].map((spelling) => [environmentName(spelling.name), spelling]));
  for (const [variable, value] of Object.entries(environment)) {
    // An empty variable is how scripts and Compose files say "not set".
    if (!variable.startsWith(PREFIX) || value === undefined || value === '' || OTHER_VARIABLES.includes(variable))
      continue;
    const spelling = names.get(variable);
    if (spelling === undefined) {
      const nearest = nearestName(
        variable.slice(PREFIX.length),
        [...names.keys()].map((name) => name.slice(PREFIX.length)),
      );
      warnings.push(
        `${variable}: there is no such setting${nearest === undefined ? '' : `; did you mean ${PREFIX}${nearest}?`}`,
      );
      continue;
    }
    take(found, problems, spelling.name, { value, source: 'environment', place: variable });
  }
  return found;
}

function fromFile(path: string | undefined, problems: string[]): Map<OptionKey, Setting> {
  const found = new Map<OptionKey, Setting>();
  if (path === undefined) return found;
  const read = readSettingsFile(path);
  problems.push(...read.problems);
  for (const { name, value, place } of read.settings) {
    if (value === undefined) continue;
    if (SPELLINGS.has(name)) {
      take(found, problems, name, { value, source: 'file', place: `${place}: ${name}` });
      continue;
    }
    const nearest = nearestName(name, SPELLINGS.keys());
    problems.push(
      `${place}: ${name}: there is no such setting${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
    );
  }
  return found;
}

/** Takes a setting under one of its names. Two names for one thing in one source contradict each other. */
function take(found: Map<OptionKey, Setting>, problems: string[], name: string, setting: Setting): void {
  const spelling = SPELLINGS.get(name);
  if (spelling === undefined) return;
  const { key, gives } = spelling;
  if (gives !== undefined && String(setting.value) === 'false') return;
  const isMeant = gives !== undefined && String(setting.value) === 'true';
  const before = found.get(key);
  if (before !== undefined) problems.push(`${setting.place}: ${before.place} says the same thing; give one of them`);
  found.set(key, isMeant ? { ...setting, value: gives } : setting);
}

/** Options in the order of the table, with what was given for them. */
export function inOrder(settings: Settings): readonly (readonly [OptionKey, Setting | undefined])[] {
  return OPTION_KEYS.map((key) => [key, settings.given.get(key)]);
}
