/** What is wrong with settings, apart from how they are read: who only runs a node loads nothing that reads them. */
import { FunkError } from '../base/errors.ts';
import type { NodeConfig } from '../node-config.ts';

/** Settings that cannot be used. Nothing was started. */
export class ConfigError extends FunkError {
  readonly code = 'FUNK_BAD_CONFIG';
  /** One sentence each: the option, the value, and what would be right. */
  readonly problems: readonly string[];
  readonly exitCode = 78;

  constructor(problems: readonly string[]) {
    super(
      problems.length === 1
        ? (problems[0] as string)
        : `${problems.length} settings are wrong:\n${problems.join('\n')}`,
    );
    this.problems = problems;
  }
}

/**
 * A node whose data directory is empty knows nobody: it must be told how to come to a cluster. Only the runtime knows whether
 * the directory is empty; then it asks here. Undefined when there is a way.
 */
export function emptyDirectoryProblem(config: NodeConfig): string | undefined {
  if (config.zeroconf || config.join.length > 0 || config.isSeed || config.etcd !== undefined) return undefined;
  if (config.kind !== 'voter') return `a ${config.kind} needs a cluster to follow: --zeroconf or --join host:port`;
  if (config.bootstrap || config.bootstrapExpect !== undefined) return undefined;
  return (
    'the data directory is empty and nothing says how to come to a cluster: ' +
    'one of --zeroconf, --join host:port, --bootstrap (exactly one node) or --bootstrap-expect N is needed'
  );
}

/** What was promised in a log of this node's own cannot be kept by another. Undefined when the two go together. */
export function ownLogProblem(config: NodeConfig, bound: string | undefined): string | undefined {
  if (config.etcd === undefined || bound === undefined) return undefined;
  return `the data directory holds the log of cluster ${bound}, and etcd-endpoints names an etcd that keeps another: use an empty directory`;
}
