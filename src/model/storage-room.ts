/**
 * How much a voter can still write. `low`: no further segment of the log can be made, what is left of the present one still serves. `full`:
 * what is left is kept for terms and votes; entries and snapshots are not taken any more. raft.md 11.6.
 */
export type StorageRoom = 'enough' | 'low' | 'full';
