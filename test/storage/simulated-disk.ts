/**
 * A disk that can lose what was not synced. Each file has what a process sees, what has reached the platter, and the writes in between;
 * names are objects of their own. At a power cut every pending write is kept, dropped or torn per 512-byte sector, every pending change
 * of a name kept or dropped, honouring nothing but completed syncs. reliability.md 5.5.
 */
import { present } from '../../src/base/assert.ts';
import type { DiskFile, DiskPort } from '../../src/ports/disk-port.ts';
import { DiskFailedError } from '../../src/runtime/disk-errors.ts';

const SECTOR_BYTES = 512;

/** Answers every question of a crash: a number in [0, options). */
export interface Chooser {
  pick(options: number): number;
}

/** Everything that is pending is lost; what was synced stays. */
export const LOSE_ALL: Chooser = { pick: () => 0 };
/** Everything that is pending had just reached the platter. */
export const KEEP_ALL: Chooser = { pick: (options) => (options === 1 ? 0 : 1) };

/** The machine lost power: thrown by the operation that never took place. */
export class PowerCut extends Error {}

type Change = { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array } | { readonly kind: 'empty' };

class Content {
  readonly isFolder: boolean;
  visible: Uint8Array = new Uint8Array(0);
  durable: Uint8Array = new Uint8Array(0);
  pending: Change[] = [];
  #hasLost = false;

  constructor(isFolder = false) {
    this.isFolder = isFolder;
  }

  write(bytes: Uint8Array, at: number): void {
    const copy = bytes.slice();
    this.visible = patched(this.visible, copy, at);
    this.pending.push({ kind: 'write', at, bytes: copy });
  }

  empty(): void {
    this.visible = new Uint8Array(0);
    this.pending.push({ kind: 'empty' });
  }

  sync(): void {
    this.durable = this.#hasLost ? this.settled(KEEP_ALL) : this.visible.slice();
    this.pending = [];
  }

  /**
   * ext4 and XFS: the pages are marked clean, the next sync reports success, and the data never reaches the platter, though whoever reads sees it.
   */
  failSync(): void {
    this.pending = [];
    this.#hasLost = true;
  }

  copy(): Content {
    const { visible, durable, pending } = this;
    const copy = Object.assign(new Content(this.isFolder), { visible, durable, pending: [...pending] });
    copy.#hasLost = this.#hasLost;
    return copy;
  }

  settled(chooser: Chooser): Uint8Array {
    let bytes = this.durable;
    for (const change of this.pending) {
      if (change.kind === 'empty') bytes = chooser.pick(2) === 1 ? new Uint8Array(0) : bytes;
      else bytes = settledWrite(bytes, change.bytes, change.at, chooser);
    }
    return bytes.slice();
  }
}

/** `contentOf` is what stands for a content in a copy of the disk. */
type NameChange = {
  readonly folder: string;
  readonly apply: (names: Map<string, Content>, contentOf: (content: Content) => Content) => void;
};
const ITSELF = (content: Content): Content => content;
export type FaultyOperation = 'write' | 'shortWrite' | 'sync' | 'read' | 'create' | 'syncFolder';

export class SimulatedDisk implements DiskPort {
  readonly #names: Map<string, Content> = new Map();
  readonly #durableNames: Map<string, Content> = new Map();
  #nameChanges: NameChange[] = [];
  #operations = 0;
  #cutAfter: number = Number.POSITIVE_INFINITY;
  #faults: { operation: FaultyOperation; errno: string; path: string; skip: number }[] = [];
  /** What all files together may hold; a write beyond goes as far as there is room. */
  capacityBytes: number = Number.POSITIVE_INFINITY;
  /** Files that are open; a log that is closed leaves none. */
  openFiles = 0;

  /** How many changing operations took place. */
  get operations(): number {
    return this.#operations;
  }

  /** The power fails when `count` more operations have taken place. */
  cutPowerAfter(count: number): void {
    this.#cutAfter = this.#operations + count;
  }

  /** Lets an operation on a path that contains `path` fail once, after `skip` of them passed. */
  failOnce(operation: FaultyOperation, errno: string, path = '', skip = 0): void {
    this.#faults.push({ operation, errno, path, skip });
  }

  /** Failures that were to come do not. */
  clearFaults(): void {
    this.#faults = [];
  }

  /** What lies at that byte goes bad: the bits of `mask` are flipped, or the whole sector reads as zeros. Nobody is told. */
  rot(path: string, at: number, mask: number | undefined): void {
    const content = this.#content(path);
    for (const image of ['visible', 'durable'] as const) {
      const bytes = content[image].slice();
      const from = at - (at % SECTOR_BYTES);
      if (mask === undefined) bytes.fill(0, from, from + SECTOR_BYTES);
      else if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ mask;
      content[image] = bytes;
    }
  }

  /** What another machine start finds: `chooser` decides what became of everything that was not synced. */
  afterCrash(chooser: Chooser): SimulatedDisk {
    const names = new Map(this.#durableNames);
    for (const change of this.#nameChanges) if (chooser.pick(2) === 1) change.apply(names, ITSELF);
    dropUnreachable(names);
    return this.#next([...names].map(([path, content]) => [path, content.isFolder || content.settled(chooser)]));
  }

  /** What a new process finds when only the old one died: the page cache, durable or not. */
  afterKill(): SimulatedDisk {
    const next = new SimulatedDisk();
    const copies = new Map<Content, Content>();
    const copyOf = (content: Content): Content => {
      const copy = copies.get(content) ?? content.copy();
      copies.set(content, copy);
      return copy;
    };
    for (const [path, content] of this.#names) next.#names.set(path, copyOf(content));
    for (const [path, content] of this.#durableNames) next.#durableNames.set(path, copyOf(content));
    next.#nameChanges = this.#nameChanges.map(({ folder, apply }) => ({
      folder,
      apply: (names, contentOf) => apply(names, (content) => contentOf(copyOf(content))),
    }));
    return next;
  }

  /** Everything that can be seen, as plain bytes. */
  files(): Map<string, Uint8Array> {
    const files = [...this.#names].filter(([, { isFolder }]) => !isFolder);
    return new Map(files.map(([path, { visible }]) => [path, visible]));
  }

  /** A disk of our folders that holds just these files, durably. */
  withFiles(files: ReadonlyMap<string, Uint8Array>): SimulatedDisk {
    const folders = [...this.#names].filter(([, { isFolder }]) => isFolder).map(([path]) => [path, true] as const);
    return this.#next([...folders, ...[...files].map(([path, bytes]) => [path, bytes.slice()] as const)]);
  }

  list(folder: string): readonly string[] {
    const prefix = `${folder}/`;
    return [...this.#names.keys()]
      .filter((path) => path.startsWith(prefix) && !path.slice(prefix.length).includes('/'))
      .map((path) => path.slice(prefix.length))
      .sort();
  }

  exists(path: string): boolean {
    return this.#names.has(path);
  }

  makeFolder(path: string): void {
    if (this.#names.has(path)) return;
    this.#operate('makeFolder', path);
    const content = new Content(true);
    this.#rename(folderOf(path), (names, contentOf) => names.set(path, contentOf(content)));
  }

  openToRead(path: string): DiskFile {
    return this.#open(path, this.#content(path));
  }

  create(path: string): DiskFile {
    this.#operate('create', path);
    const old = this.#names.get(path);
    if (old !== undefined) {
      old.empty();
      return this.#open(path, old);
    }
    const content = new Content();
    this.#rename(folderOf(path), (names, contentOf) => names.set(path, contentOf(content)));
    return this.#open(path, content);
  }

  rename(from: string, to: string): void {
    this.#operate('rename', from);
    const content = this.#content(from);
    if (content.isFolder && this.#names.has(to)) throw new DiskFailedError('rename', from, 'ENOTEMPTY');
    this.#rename(folderOf(to), (names, contentOf) => {
      const inside = [...names].filter(([path]) => path.startsWith(`${from}/`));
      names.delete(from);
      names.set(to, contentOf(content));
      for (const [path, inner] of inside) {
        names.delete(path);
        names.set(`${to}${path.slice(from.length)}`, inner);
      }
    });
  }

  remove(path: string): void {
    this.#operate('remove', path);
    this.#content(path);
    this.#rename(folderOf(path), (names) => names.delete(path));
  }

  removeFolder(path: string): void {
    this.#operate('removeFolder', path);
    if (this.list(path).length > 0) throw new DiskFailedError('removeFolder', path, 'ENOTEMPTY');
    this.#rename(folderOf(path), (names) => names.delete(path));
  }

  freeBytes(): number | undefined {
    if (this.capacityBytes === Number.POSITIVE_INFINITY) return undefined;
    return Math.max(0, this.capacityBytes - this.usedBytes);
  }

  get usedBytes(): number {
    return [...this.#names.values()].reduce((sum, { visible }) => sum + visible.length, 0);
  }

  syncFolder(path: string): void {
    this.#operate('syncFolder', path);
    for (const change of this.#nameChanges) if (change.folder === path) change.apply(this.#durableNames, ITSELF);
    this.#nameChanges = this.#nameChanges.filter(({ folder }) => folder !== path);
  }

  #open(path: string, content: Content): DiskFile {
    let isOpen = true;
    this.openFiles += 1;
    const using = (operation: string): void => {
      if (!isOpen) throw new Error(`${operation} of ${path} after it was closed`);
    };
    const file: DiskFile = {
      path,
      size: () => content.visible.length,
      read: (into, at) => {
        using('read');
        this.#maybeFail('read', path);
        const part = content.visible.subarray(at, at + into.length);
        into.set(part);
        return part.length;
      },
      write: (bytes, at) => {
        using('write');
        this.#operate('write', file.path);
        const isShort = this.#takeFault('shortWrite', file.path) !== undefined;
        const grows = Math.max(0, at + bytes.length - content.visible.length);
        const lacks = Math.max(0, grows - (this.freeBytes() ?? grows));
        const count = isShort ? Math.floor(bytes.length / 2) : bytes.length - lacks;
        if (count <= 0 && bytes.length > 0) throw new DiskFailedError('write', file.path, 'ENOSPC');
        content.write(bytes.subarray(0, count), at);
        return count;
      },
      sync: () => {
        using('sync');
        this.#operate('sync', file.path, () => content.failSync());
        content.sync();
      },
      close: () => {
        using('close');
        isOpen = false;
        this.openFiles -= 1;
      },
    };
    return file;
  }

  #content(path: string): Content {
    const content = this.#names.get(path);
    if (content === undefined) throw new DiskFailedError('opening', path, 'ENOENT');
    return content;
  }

  #rename(folder: string, apply: NameChange['apply']): void {
    apply(this.#names, ITSELF);
    this.#nameChanges.push({ folder, apply });
  }

  #operate(operation: string, path: string, onFault?: () => void): void {
    if (this.#operations >= this.#cutAfter) throw new PowerCut(`the power failed before the ${operation} of ${path}`);
    this.#operations += 1;
    this.#maybeFail(operation, path, onFault);
  }

  #maybeFail(operation: string, path: string, onFault?: () => void): void {
    const fault = this.#takeFault(operation, path);
    if (fault === undefined) return;
    onFault?.();
    throw new DiskFailedError(operation, path, fault.errno);
  }

  #takeFault(operation: string, path: string): { readonly errno: string } | undefined {
    const fault = this.#faults.find((candidate) => candidate.operation === operation && path.includes(candidate.path));
    if (fault === undefined) return undefined;
    if (fault.skip > 0) {
      fault.skip -= 1;
      return undefined;
    }
    this.#faults = this.#faults.filter((candidate) => candidate !== fault);
    return fault;
  }

  /** `true` stands for a folder. */
  #next(files: readonly (readonly [string, Uint8Array | true])[]): SimulatedDisk {
    const disk = new SimulatedDisk();
    for (const [path, bytes] of files) {
      const content =
        bytes === true ? new Content(true) : Object.assign(new Content(), { visible: bytes, durable: bytes });
      disk.#names.set(path, content);
      disk.#durableNames.set(path, content);
    }
    return disk;
  }
}

/**
 * Runs `run` with every sequence of answers, up to `limit` of them; beyond, with random ones. `random` gives numbers in [0, 1).
 * Returns how many runs there were.
 */
export function explore(limit: number, random: () => number, run: (chooser: Chooser) => void): number {
  let prefix: number[] = [];
  for (let runs = 1; ; runs++) {
    const answers: number[] = [];
    const widths: number[] = [];
    const inOrder = runs <= limit / 2;
    run({
      pick: (options) => {
        const next = inOrder ? (prefix[answers.length] ?? 0) : Math.floor(random() * options);
        answers.push(next);
        widths.push(options);
        return next;
      },
    });
    if (runs >= limit || answers.length === 0) return runs;
    if (!inOrder) continue;
    let last = answers.length - 1;
    while (last >= 0 && (answers[last] as number) + 1 >= (widths[last] as number)) last -= 1;
    if (last < 0) return runs;
    prefix = [...answers.slice(0, last), (answers[last] as number) + 1];
  }
}

function settledWrite(before: Uint8Array, bytes: Uint8Array, at: number, chooser: Chooser): Uint8Array {
  const fate = chooser.pick(3);
  if (fate === 0) return before;
  if (fate === 1) return patched(before, bytes, at);
  let after = before;
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES));
    if (chooser.pick(2) === 1) after = patched(after, bytes.subarray(from, to), at + from);
    from = to;
  }
  return after;
}

function patched(before: Uint8Array, bytes: Uint8Array, at: number): Uint8Array {
  const after = new Uint8Array(Math.max(before.length, at + bytes.length));
  after.set(before);
  after.set(bytes, at);
  return after;
}

/** What lies in a folder whose own name was lost. */
function dropUnreachable(names: Map<string, Content>): void {
  for (;;) {
    const lost = [...names.keys()].filter((path) => folderOf(path) !== '' && !names.has(folderOf(path)));
    if (lost.length === 0) return;
    for (const path of lost) names.delete(path);
  }
}

function folderOf(path: string): string {
  return path.slice(0, present(path.lastIndexOf('/'), 'a path has a folder'));
}
