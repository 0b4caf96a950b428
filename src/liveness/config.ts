/** Settings of the liveness checker. Sources: clusterfunk's pkg/funk/liveness.go and features A11, unless said otherwise. */

export interface LivenessConfig {
  /** How often a peer is asked while it answers (`--liveness-interval`, clusterfunk v0.0.1). Asked twice as often after a miss. */
  readonly intervalMs: number;
  /** So many more misses than echoes make a peer dead; the credit of a healthy peer is as large (`--liveness-retries`). */
  readonly retries: number;
  /** How often a dead peer is asked. */
  readonly deadIntervalMs: number;
  /** A question is missed after this many times the average round trip, */
  readonly deadlineFactor: number;
  /** but never sooner than this. */
  readonly deadlineMinMs: number;
  /** Weight of the newest round trip in the average. */
  readonly averageWeight: number;
  /** Peers watched at once; ours. A cluster of this size is far beyond what one checker should ask. */
  readonly watchedMax: number;
  /** Questions of a peer whose late echo still counts; ours. At twice the usual pace they span more than a second. */
  readonly questionsKeptMax: number;
  /** Echoes given to one source per second; ours. Ends an endless exchange between two endpoints; no checker asks so often. */
  readonly echoesPerSourceMax: number;
}

export const DEFAULT_LIVENESS_CONFIG: LivenessConfig = {
  intervalMs: 150,
  retries: 3,
  deadIntervalMs: 1_000,
  deadlineFactor: 5,
  deadlineMinMs: 10,
  averageWeight: 0.05,
  watchedMax: 4_096,
  questionsKeptMax: 16,
  echoesPerSourceMax: 200,
};

/** Every problem at once; empty when there is none. */
export function validateLivenessConfig(config: LivenessConfig): string[] {
  const problems: string[] = [];
  const inRange = (name: keyof LivenessConfig, low: number, high: number): void => {
    const value = config[name];
    if (!(value >= low && value <= high)) problems.push(`${name} is ${value}; it must be ${low} to ${high}`);
  };
  const whole = (name: keyof LivenessConfig, low: number, high: number): void => {
    inRange(name, low, high);
    if (!Number.isInteger(config[name])) problems.push(`${name} is ${config[name]}; it must be a whole number`);
  };
  inRange('intervalMs', 10, 60_000);
  whole('retries', 1, 100);
  inRange('deadIntervalMs', 10, 600_000);
  inRange('deadlineFactor', 1, 100);
  inRange('deadlineMinMs', 1, 60_000);
  inRange('averageWeight', 0.001, 1);
  whole('watchedMax', 1, 65_536);
  whole('questionsKeptMax', 1, 64);
  whole('echoesPerSourceMax', 1, 65_535);
  if (config.deadIntervalMs < config.intervalMs) {
    problems.push(`deadIntervalMs is ${config.deadIntervalMs}; it must be at least intervalMs (${config.intervalMs})`);
  }
  return problems;
}
