/** A real `serf agent` on loopback, spoken to by the real command line. */
import { formatEndpoint, type Endpoint } from '../../src/model/endpoint.ts';
import { freePort, PeerProcess, runProgram, until } from './peer.ts';

export interface AgentMember {
  readonly name: string;
  readonly addr: string;
  readonly status: string;
  readonly tags: Readonly<Record<string, string>>;
}

export class SerfAgent {
  readonly name: string;
  readonly address: Endpoint;
  /** Where the command line finds it. */
  readonly rpc: string;
  readonly #rpcAuth: readonly string[];
  readonly #process: PeerProcess;
  #quietFrom = 0;

  private constructor(name: string, address: Endpoint, rpc: string, process: PeerProcess, rpcKey: string | undefined) {
    this.name = name;
    this.address = address;
    this.rpc = rpc;
    this.#rpcAuth = rpcKey === undefined ? [] : [`-rpc-auth=${rpcKey}`];
    this.#process = process;
  }

  static async start(name: string, args: readonly string[] = [], at?: Endpoint, rpcKey?: string): Promise<SerfAgent> {
    const address = at ?? { host: '127.0.0.1', port: await freePort() };
    const rpc = `127.0.0.1:${await freePort()}`;
    const bind = `-bind=${formatEndpoint(address)}`;
    const process = new PeerProcess('serf', [
      'agent',
      `-node=${name}`,
      bind,
      `-rpc-addr=${rpc}`,
      '-log-level=debug',
      ...args,
    ]);
    const agent = new SerfAgent(name, address, rpc, process, rpcKey);
    await until(`agent ${name} answers`, async () => agent.#isReady(), 60_000);
    return agent;
  }

  /** A command of the real CLI against this agent. */
  async cli(command: string, ...args: readonly string[]): Promise<string> {
    return runProgram('serf', [command, `-rpc-addr=${this.rpc}`, ...this.#rpcAuth, ...args]);
  }

  async members(): Promise<readonly AgentMember[]> {
    const answer = JSON.parse(await this.cli('members', '-format=json')) as {
      readonly members: readonly AgentMember[];
    };
    return answer.members;
  }

  /** `name:status` of all, sorted, for comparing. */
  async statuses(): Promise<string> {
    const members = await this.members();
    return members
      .map((member) => `${member.name}:${member.status}`)
      .sort()
      .join(' ');
  }

  /** From here on, the log is expected to be free of trouble. */
  beginQuiet(): void {
    this.#quietFrom = this.#process.lines.length;
  }

  /** Warnings and errors since {@link beginQuiet}; not that a `serf` of ours had ended before the agent told it all. */
  trouble(): readonly string[] {
    return this.#process.lines
      .slice(this.#quietFrom)
      .filter((line) => /\[(?:WARN|ERR)\]/.test(line) && !/agent\.ipc: Failed to stream/.test(line));
  }

  get log(): string {
    return this.#process.lines.join('\n');
  }

  /** Stops and continues the whole process. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process.signal(signal);
  }

  get hasEnded(): boolean {
    return this.#process.hasEnded;
  }

  async kill(): Promise<void> {
    await this.#process.stop('SIGKILL');
  }

  /** SIGINT makes an agent leave. */
  async leave(): Promise<void> {
    await this.#process.stop('SIGINT');
  }

  async #isReady(): Promise<string | true> {
    if (this.#process.hasEnded) throw new Error(`agent ${this.name} ended:\n${this.log}`);
    try {
      await this.members();
      return true;
    } catch (error) {
      return String(error);
    }
  }
}
