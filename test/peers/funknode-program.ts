/** The real `funknode` program on loopback, asked by the real `funkctl`. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connectManagement, type ManagementClient } from '../../src/client.ts';
import { type Endpoint, formatEndpoint } from '../../src/model/endpoint.ts';
import { freePort, PeerProcess, until } from './peer.ts';

export const FUNKNODE: string = fileURLToPath(new URL('../../cmd/funknode/main.js', import.meta.url));
const FUNKCTL = fileURLToPath(new URL('../../cmd/funkctl/main.js', import.meta.url));
const execFileAsync = promisify(execFile);

interface ShownMember {
  readonly name: string;
  readonly serfState: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** A start takes a second of processor time, which a busy machine may give in a minute. */
const START_MS = 60_000;

export class FunknodeProgram {
  readonly name: string;
  readonly gossip: Endpoint;
  readonly #management: Endpoint;
  readonly #process: PeerProcess;
  #client: ManagementClient | undefined;

  private constructor(name: string, gossip: Endpoint, management: Endpoint, process: PeerProcess) {
    this.name = name;
    this.gossip = gossip;
    this.#management = management;
    this.#process = process;
  }

  static async start(name: string, args: readonly string[], at?: Endpoint): Promise<FunknodeProgram> {
    const gossip = at ?? { host: '127.0.0.1', port: await freePort() };
    const management = { host: '127.0.0.1', port: await freePort() };
    const child = new PeerProcess(process.execPath, [
      FUNKNODE,
      ...['--in-memory', '--interface', '127.0.0.1', '--node-id', name],
      ...['--serf-endpoint', formatEndpoint(gossip), '--management-endpoint', formatEndpoint(management)],
      ...args,
    ]);
    const program = new FunknodeProgram(name, gossip, management, child);
    await until(`${name} answers`, async () => program.#isReady(), START_MS);
    return program;
  }

  /** What a command of `funkctl` against this node prints; rejects, with `stderr`, when it fails. */
  async ctl(...args: readonly string[]): Promise<string> {
    const all = [FUNKCTL, '--endpoint', formatEndpoint(this.#management), ...args];
    const { stdout } = await execFileAsync(process.execPath, all, { timeout: 60_000 });
    return stdout;
  }

  async members(): Promise<readonly ShownMember[]> {
    this.#client ??= await connectManagement(this.#management, { timeoutMs: 60_000, connectTimeoutMs: 5_000 });
    return (await this.#client.members()).members;
  }

  /** `name:status` of all, sorted, for comparing. */
  async statuses(): Promise<string> {
    const members = await this.members();
    return members
      .map((member) => `${member.name}:${member.serfState}`)
      .sort()
      .join(' ');
  }

  get log(): string {
    return this.#process.lines.join('\n');
  }

  /** Warnings and errors that are about gossip. */
  trouble(): readonly string[] {
    return this.#process.lines.filter((line) => /"level":"(?:warn|error)"/.test(line) && line.includes('gossip'));
  }

  get hasEnded(): boolean {
    return this.#process.hasEnded;
  }

  async kill(): Promise<void> {
    this.#client?.close();
    await this.#process.stop('SIGKILL');
  }

  async leave(): Promise<void> {
    this.#client?.close();
    await this.#process.stop('SIGINT');
  }

  async #isReady(): Promise<string | true> {
    if (this.#process.hasEnded) throw new Error(`${this.name} ended:\n${this.#process.lines.join('\n')}`);
    try {
      await this.members();
      return true;
    } catch (error) {
      return String(error);
    }
  }
}
