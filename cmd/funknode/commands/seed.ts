/** `funknode seed`: a node that does nothing but gossip, at an address that the others are told to join through. */
import { ConfigError } from '../../../src/node-config.ts';
import { seedConfig, seedProblems } from '../../../src/node-config/service-node.ts';
import { LiveView } from '../live-view.ts';
import { resolveSettings, type Settings } from '../settings.ts';
import { runNode } from './run.ts';

export interface SeedFacts {
  readonly version: string;
  readonly settings: Settings;
  readonly liveView: boolean;
  readonly showAllNodes: boolean;
}

/** Resolves with the exit code. @throws {ConfigError} */
export async function runSeed({ version, settings, liveView, showAllNodes }: SeedFacts): Promise<number> {
  const problems = seedProblems(new Map([...settings.given].map(([key, { place }]) => [key, place])));
  if (problems.length > 0) throw new ConfigError([...problems]);
  const config = seedConfig(resolveSettings(settings), { keepsSnapshot: !settings.given.has('rejoinAfterLeave') });
  return await runNode({
    version,
    config,
    warnings: settings.warnings,
    ...(liveView && {
      onRunning: (node) => {
        const view = new LiveView(node, process.stdout, { showsAll: showAllNodes });
        view.start();
        return () => view.stop();
      },
    }),
  });
}
