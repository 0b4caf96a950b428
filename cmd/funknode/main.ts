#!/usr/bin/env node
/** The program `funknode`: parses, and hands over to the command. What a command needs is loaded by it alone. */
import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { ConfigError } from '../../src/node-config.ts';
import { type Arguments, readArguments } from './arguments.ts';
import { EXIT_DONE, EXIT_SETTINGS, EXIT_USAGE } from './exit-codes.ts';
import { gatherSettings, resolveSettings, type Settings } from './settings.ts';

/** Words that lead to the tools for a node that does not run. */
const OFFLINE_VERBS: ReadonlySet<string> = new Set(['wal', 'snap', 'recover', 'backup', 'restore']);

async function main(argv: readonly string[]): Promise<number> {
  if (OFFLINE_VERBS.has(argv[0] ?? '')) {
    const { runOffline } = await import('./commands/offline.ts');
    return await runOffline(argv);
  }
  const version = packageVersion();
  let given: Arguments;
  try {
    given = readArguments(argv, version);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT_DONE : EXIT_USAGE;
  }
  const file = given.configFile ?? (process.env['FUNKNODE_CONFIG'] || undefined);
  const settings = gatherSettings({ flags: given.flags, environment: process.env, file });
  try {
    if (given.unknown.length > 0) throw new ConfigError([...given.unknown, ...problemsOf(settings)]);
    if (given.command === 'config') return await printConfig(settings, given.json);
    if (given.command === 'seed') {
      const { runSeed } = await import('./commands/seed.ts');
      return await runSeed({ version, settings, ...given.seed });
    }
    const config = resolveSettings(settings);
    const { runNode } = await import('./commands/run.ts');
    return await runNode({ version, config, warnings: settings.warnings });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) process.stderr.write(`funknode: ${problem}\n`);
    return given.unknown.length > 0 ? EXIT_USAGE : EXIT_SETTINGS;
  }
}

/** Everything that is wrong with the settings, found without starting anything. */
function problemsOf(settings: Settings): readonly string[] {
  try {
    resolveSettings(settings);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

async function printConfig(settings: Settings, asJson: boolean): Promise<number> {
  const { configText } = await import('./commands/config.ts');
  for (const warning of settings.warnings) process.stderr.write(`funknode: ${warning}\n`);
  await new Promise<void>((resolve) => process.stdout.write(configText(settings, asJson), () => resolve()));
  return EXIT_DONE;
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

// Who reads our output may have seen enough (`funknode config | head`); who reads our log may be gone while we serve on.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT_DONE);
  throw error;
});
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await main(process.argv.slice(2));
// Whatever a library left open must not keep a stopped node alive.
process.exit();
