/**
 * What makes a node unfit to lead although it talks to everybody. `disk`: a write of the log has not become durable for seconds. `loop`: its
 * event loop runs late. raft.md 12.3, 12.4.
 */
export type Ailment = 'disk' | 'loop';
