/** What is said of an option, beside what it takes. */

/** Another spelling. Without `gives` it takes the option's own values; with it, it is a switch that stands for one. */
export interface OptionAlias {
  readonly name: string;
  readonly gives?: string;
}

export interface OptionMeta {
  readonly group:
    | 'Cluster'
    | 'Finding others'
    | 'Shards'
    | 'Standalone etcd'
    | 'Data'
    | 'Encryption'
    | 'Gossip'
    | 'Endpoints'
    | 'Watching';
  readonly text: string;
  /** What is right, to go behind "is not". */
  readonly expected: string;
  /** What the value is called in help; undefined for a switch. */
  readonly valueName: string | undefined;
  /** The default as people read it. */
  readonly fallback: string;
  readonly isRepeatable?: boolean;
  /** For few: `--help` leaves it to `--help-all`. */
  readonly isAdvanced?: boolean;
  /** Never shown, neither in `funknode config` nor in an error. */
  readonly isSecret?: boolean;
  readonly aliases?: readonly OptionAlias[];
}
