/** Flags as they were written: every option of the table, its aliases and negations, nothing judged yet. */
import { Command, Option } from 'commander';
import { nearestName } from '../../src/node-config/nearest-name.ts';
import { OPTION_KEYS, type OptionKey, optionMeta, optionName } from '../../src/node-config/option-table.ts';

export interface GivenFlag {
  readonly key: OptionKey;
  /** As it was written: `--primary`, `--voters`. */
  readonly flag: string;
  readonly value: string;
}

export interface Arguments {
  readonly command: string;
  readonly flags: readonly GivenFlag[];
  readonly configFile: string | undefined;
  readonly json: boolean;
  readonly seed: SeedArguments;
  /** Options and words that nobody knows: wrong usage. */
  readonly unknown: readonly string[];
}

/** What only `funknode seed` takes. */
export interface SeedArguments {
  readonly liveView: boolean;
  readonly showAllNodes: boolean;
}

/** Every spelling of a setting: the option's own name and its aliases. */
export interface Spelling {
  readonly key: OptionKey;
  readonly name: string;
  /** What a switch of this name stands for when it is true; undefined when it takes the option's own value. */
  readonly gives: string | undefined;
  readonly isSwitch: boolean;
}

export const SPELLINGS: ReadonlyMap<string, Spelling> = new Map(
  OPTION_KEYS.flatMap((key) => {
    const { aliases = [], valueName } = optionMeta(key);
    const own: Spelling = { key, name: optionName(key), gives: undefined, isSwitch: valueName === undefined };
    const others = aliases.map(({ name, gives }) => ({
      ...own,
      name,
      gives,
      isSwitch: own.isSwitch || gives !== undefined,
    }));
    return [own, ...others].map((spelling): [string, Spelling] => [spelling.name, spelling]);
  }),
);

const DESCRIPTION = 'A cluster membership node: finds its cluster, agrees on who owns which shard, and says so.';
const HELP_ALL = '--help-all';
const COMMANDS: readonly string[] = ['run', 'config', 'seed'];
/** Flags of the seed that are no settings of a node. */
const SEED_SWITCHES: readonly string[] = ['live-view', 'show-all-nodes'];
/** Short names that clusterfunk's seed gives to endpoints: the flag that is meant, and what the value becomes. */
const SEED_ENDPOINTS: ReadonlyMap<string, { readonly flag: string; readonly valueOf: (value: string) => string }> =
  new Map([
    ['--serf-port', { flag: '--serf-endpoint', valueOf: (port) => `:${port}` }],
    ['--http', { flag: '--http-endpoint', valueOf: (at) => at }],
  ]);

/** Throws CommanderError for `--help`, `--version` and a missing value. */
export function readArguments(argv: readonly string[], version: string): Arguments {
  const flags: GivenFlag[] = [];
  const program = new Command('funknode')
    .description(DESCRIPTION)
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this')
    .option(HELP_ALL, 'print this with the options that few need')
    .argument(
      '[command]',
      'run: start a node (default); config: print every setting and its source; seed: gossip only, to be found by',
    )
    .option('--config <file>', 'settings in YAML, by the names of the flags')
    .option('--json', 'config: print JSON')
    .option('--live-view', 'seed: show on the terminal who is there')
    .option('--show-all-nodes', 'seed: show those who are gone, too')
    .allowUnknownOption()
    .allowExcessArguments()
    .exitOverride()
    .configureHelp({ optionTerm, showGlobalOptions: false })
    .addHelpText('after', AFTER_HELP)
    .action(() => undefined);
  const showsAll = argv.includes(HELP_ALL);
  for (const spelling of SPELLINGS.values()) program.addOption(optionOf(spelling, flags, showsAll));
  const isSeed = argv.includes('seed');
  const words = (isSeed ? seedWords(argv) : argv)
    .flatMap(settleSwitch)
    .map((word) => (word === HELP_ALL ? '--help' : word));
  program.parse(words, { from: 'user' });
  const { config, json, liveView, showAllNodes } = program.opts<{
    config?: string;
    json?: true;
    liveView?: true;
    showAllNodes?: true;
  }>();
  const plain = program.args.filter((word) => !word.startsWith('-'));
  const strangers = program.args.filter((word) => word.startsWith('-'));
  const command = plain[0] ?? 'run';
  const isKnown = COMMANDS.includes(command);
  const unknown = strangers.map((word) => `${word}: there is no such option${hint(word, [...SPELLINGS.keys()], '--')}`);
  // Behind an unknown option stands perhaps its value: only without one is a strange word a mistake of its own.
  if (strangers.length === 0 && !isKnown) {
    unknown.push(`${command}: there is no such command${hint(command, COMMANDS, '')}`);
  }
  if (strangers.length === 0 && plain.length > 1)
    unknown.push(`${plain.slice(1).join(' ')}: nothing more was expected`);
  const seed = { liveView: liveView === true, showAllNodes: showAllNodes === true };
  if (command !== 'seed' && (seed.liveView || seed.showAllNodes))
    unknown.push('--live-view and --show-all-nodes are for funknode seed');
  return { command, flags, configFile: config, json: json === true, seed, unknown };
}

const AFTER_HELP = `
Every option is also an environment variable, --cluster-name as FUNKNODE_CLUSTER_NAME, and a key of the file that
--config names, cluster-name. A flag wins over the environment, that over the file, that over the default.
A switch also takes =true or =false, and --no- in front. Durations are 150ms, 2s, 5m.

Examples:
  funknode --zeroconf --interface 127.0.0.1     a cluster on this machine; run it in several terminals
  funknode --zeroconf                           a cluster on the local network
  funknode --join db1:7946,db2:7946             join where multicast does not reach
  funknode config --json                        see what would be used
  funknode --service-name shop --join db1:7946 --tag ep.shop=10.0.0.9:80    publish an endpoint, and nothing else
  funknode seed --http :7950 --snapshot seed.snap --live-view               be where the others join through

For a node that does not run: funknode wal, funknode snap, funknode recover (each with --help).`;

function optionOf(spelling: Spelling, flags: GivenFlag[], showsAll: boolean): Option {
  const { key, name, gives, isSwitch } = spelling;
  const meta = optionMeta(key);
  const isAlias = name !== optionName(key);
  const option = new Option(`--${name} <${isSwitch ? 'bool' : meta.valueName}>`, `${meta.text} (${meta.fallback})`);
  // To commander `--no-shards` takes `--shards` back; to us it is an option of its own.
  option.negate = false;
  option.helpGroup(`${meta.group}:`);
  if (isAlias || (meta.isAdvanced === true && !showsAll)) option.hideHelp();
  return option.argParser((value) => {
    if (gives === undefined) flags.push({ key, flag: `--${name}`, value });
    else if (value === 'true') flags.push({ key, flag: `--${name}`, value: gives });
    else if (value !== 'false') flags.push({ key, flag: `--${name}`, value });
    return value;
  });
}

/** The seed's own spellings, as those of a node: `--serf-port 7946` → `--serf-endpoint :7946`, `--live-view=true` → `--live-view`. */
function seedWords(argv: readonly string[]): string[] {
  const words: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] as string;
    const cut = word.indexOf('=');
    const [name, inline] = cut === -1 ? [word, undefined] : [word.slice(0, cut), word.slice(cut + 1)];
    const endpoint = SEED_ENDPOINTS.get(name);
    if (endpoint !== undefined) {
      const value = inline ?? argv[++at];
      words.push(value === undefined ? endpoint.flag : `${endpoint.flag}=${endpoint.valueOf(value)}`);
      continue;
    }
    const isSwitch = SEED_SWITCHES.some((one) => name === `--${one}`) && inline !== undefined;
    if (isSwitch && inline === 'false') continue;
    words.push(isSwitch && inline === 'true' ? name : word);
  }
  return words;
}

/** `--zeroconf` → `--zeroconf=true`, `--no-zeroconf` → `--zeroconf=false`, so that no switch takes the word behind it. */
function settleSwitch(word: string, at: number, words: readonly string[]): string[] {
  if (words.indexOf('--') !== -1 && words.indexOf('--') <= at) return [word];
  const match = /^--([a-z-]+)(?:=(.*))?$/.exec(word);
  if (match === null) return [word];
  const [, name, value = 'true'] = match as unknown as [string, string, string | undefined];
  if (SPELLINGS.get(name)?.isSwitch === true) return [`--${name}=${value}`];
  const negated = name.startsWith('no-') ? name.slice('no-'.length) : '';
  if (SPELLINGS.get(negated)?.isSwitch !== true || !/^(?:true|false)$/.test(value)) return [word];
  return [`--${negated}=${value === 'true' ? 'false' : 'true'}`];
}

function hint(word: string, known: readonly string[], prefix: string): string {
  const bare = word.replace(/^-+/, '').replace(/=.*$/, '');
  const nearest = nearestName(bare, known);
  return nearest === undefined ? '; see --help' : `; did you mean ${prefix}${nearest}?`;
}

function optionTerm(option: Option): string {
  const spelling = SPELLINGS.get(option.name());
  if (spelling === undefined) return option.flags;
  return spelling.isSwitch ? `--${spelling.name}` : `--${spelling.name} <${optionMeta(spelling.key).valueName}>`;
}
