/**
 * What becomes of news about members: alive, suspect, dead, and a peer's whole list. wire-gossip.md section 8, rule by rule.
 *
 *     (unknown) --alive--> alive --suspect--> suspect --timeout, dead--> dead --alive, higher incarnation--> alive
 *                            |                   |--alive, higher incarnation--> alive
 *                            '-------dead--------'--> dead, or left when the member itself said so
 *
 * Invariants: a suspect row, and no other, has a suspicion with a deadline; a row's incarnation never falls, except when
 * another address takes over the name; we are never anything but alive in our own table until we leave.
 */
import { assert, present } from '../base/assert.ts';
import { equalBytes } from '../base/bytes.ts';
import { DeadlineHeap } from '../base/deadline-heap.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import { addressOfHost } from '../wire/memberlist/address.ts';
import { encodeAlive, encodeDead, encodeSuspect } from '../wire/memberlist/messages.ts';
import { isAddressIn } from '../wire/memberlist/network.ts';
import { INCARNATION_LIMIT, faultOf, isNameSound, isPresent, sameAddress, supersedes } from './claim.ts';
import { META_BYTES_MAX, OUR_VERSIONS } from './config.ts';
import type { SwimContext } from './context.ts';
import { endpointOf, memberOf } from './member-table.ts';
import type { Row } from './member-table.ts';
import type { SwimClaim } from './messages.ts';
import type { Outbox } from './outbox.ts';
import type { NameChecks } from './name-checks.ts';
import { Suspicion, suspicionSpan } from './suspicion.ts';
import type { Tombstones } from './tombstones.ts';

/** Old accusations circulate; a flood of them must not make us send as many answers. */
const TELL_INTERVAL_MS = 20;

/**
 * Before a suspicion ends in a verdict, the accused is told of it so many times directly, a gossip interval apart. Its refutation may
 * have passed us by: under loss it reaches all but a few, and nothing but the next push/pull would tell those few. Lifeguard's
 * buddy system (§IV-C) tells the suspect with the next ping, which in a large cluster comes too late. Six datagrams per death and
 * member are little; of six, one gets through and is answered with 98 % at 30 % loss.
 */
const LAST_WORDS = 6;

/** A suspect or dead message. */
export interface Accusation {
  readonly node: string;
  readonly incarnation: number;
  readonly from: string;
}

export interface MembershipParts {
  readonly outbox: Outbox;
  readonly checks: NameChecks;
  readonly tombstones: Tombstones;
}

export class Membership {
  readonly #context: SwimContext;
  readonly #outbox: Outbox;
  readonly #checks: NameChecks;
  readonly #tombstones: Tombstones;
  readonly #suspicions: DeadlineHeap<string> = new DeadlineHeap();
  /** When a suspect is told next, and how often it was. */
  readonly #lastWords: DeadlineHeap<string> = new DeadlineHeap();
  #incarnation = 0;
  /** When we last told somebody directly that we live. */
  #toldAt: MonotonicMs = Number.NEGATIVE_INFINITY;
  /** What `check` saw last: incarnations never fall. */
  readonly #checkedIncarnations: WeakMap<Row, number> = new WeakMap();

  constructor(context: SwimContext, { outbox, checks, tombstones }: MembershipParts) {
    this.#context = context;
    this.#outbox = outbox;
    this.#checks = checks;
    this.#tombstones = tombstones;
  }

  /** Our own counter. The first alive message carries 1, since 0 is never believed. */
  get incarnation(): number {
    return this.#incarnation;
  }

  get self(): Row {
    return present(this.#context.table.get(this.#context.config.name), 'a started node is in its own table');
  }

  /** Puts ourselves into the table, or changes our metadata, under the next incarnation. */
  announceSelf(meta: Uint8Array): void {
    assert(meta.length <= META_BYTES_MAX, 'our metadata fits memberlist');
    if (this.#context.isLeaving) return;
    const { name, advertise, serfProtocol } = this.#context.config;
    this.#incarnation += 1;
    const addressBytes = present(addressOfHost(advertise.host), 'the advertised host is an IP address');
    const claim: SwimClaim = {
      name,
      addressBytes,
      port: advertise.port,
      meta: meta.slice(),
      versions: Uint8Array.from([...OUR_VERSIONS, serfProtocol]),
      incarnation: this.#incarnation,
      state: 'alive',
    };
    this.#adopt(this.#context.table.get(name) ?? this.#context.table.insert(claim, this.#context.now), claim);
  }

  /** 8.1. A port of 0 means the default one. */
  onAlive(given: SwimClaim, from: Endpoint | undefined): void {
    const { config, delegate, table } = this.#context;
    const isSelf = this.#context.isSelf(given.name);
    if (isSelf && this.#context.isLeaving) return;
    const claim = given.port === 0 ? { ...given, port: config.defaultPort } : given;
    const fault = faultOf(claim);
    if (fault !== undefined) {
      this.#context.drop(fault, from);
      return;
    }
    const { networksAllowed } = config;
    if (networksAllowed.length > 0 && !isAddressIn(claim.addressBytes, networksAllowed)) {
      this.#context.drop('networkNotAllowed', from);
      return;
    }
    const known = table.get(claim.name);
    // Most news is old news: told apart before the delegate is asked, who may have to read the metadata.
    if (known !== undefined && sameAddress(known, claim) && isStale(claim, known, isSelf)) return;
    if (delegate.refuseAlive(claim) !== undefined) {
      this.#context.drop('refusedAlive', from);
      return;
    }
    if (known === undefined) {
      if (table.size >= config.membersMax) {
        this.#context.drop('tableFull', from);
        return;
      }
      if (this.#tombstones.holdsBack(claim, from)) return;
      this.#tombstones.forget(claim.name);
      this.#adopt(table.insert(claim, this.#context.now), claim);
      return;
    }
    if (!sameAddress(known, claim)) {
      this.#onOtherAddress(known, claim);
      return;
    }
    if (!isSelf) {
      this.#adopt(known, claim);
      return;
    }
    const isOurs = equalBytes(claim.meta, known.meta) && equalBytes(claim.versions, known.versions);
    if (claim.incarnation !== known.incarnation || !isOurs) this.#refute(claim.incarnation);
  }

  /** 8.2 */
  onSuspect(accusation: Accusation, from: Endpoint | undefined): void {
    const row = this.#accused(accusation, from);
    if (row === undefined) return;
    if (row.suspicion !== undefined) {
      if (!row.suspicion.confirm(accusation.from)) return;
      this.#setDeadline(row, row.suspicion);
      this.#context.queue.add(encodeSuspect({ kind: 'suspect', ...accusation }), { name: row.name });
      return;
    }
    if (!supersedes({ incarnation: accusation.incarnation, state: 'suspect' }, row)) return;
    if (this.#context.isSelf(row.name)) {
      this.#refute(accusation.incarnation);
      return;
    }
    const { config, now, queue, stats, table } = this.#context;
    queue.add(encodeSuspect({ kind: 'suspect', ...accusation }), { name: row.name });
    row.incarnation = accusation.incarnation;
    table.setState(row, 'suspect', now);
    row.suspicion = new Suspicion(accusation.from, suspicionSpan(config, table.size), now);
    this.#setDeadline(row, row.suspicion);
    stats.suspicions += 1;
    this.#context.emit({ kind: 'memberSuspected', member: memberOf(row), by: accusation.from });
  }

  /** 8.3. `onSpread` hears when our own leave has been sent often enough. */
  onDead(accusation: Accusation, from: Endpoint | undefined, onSpread?: () => void): void {
    const row = this.#accused(accusation, from);
    if (row === undefined) return;
    const isOwnWord = accusation.from === row.name;
    const state = isOwnWord ? 'left' : 'dead';
    if (!supersedes({ incarnation: accusation.incarnation, state }, row)) return;
    const isSelf = this.#context.isSelf(row.name);
    if (isSelf && !this.#context.isLeaving) {
      this.#refute(accusation.incarnation);
      return;
    }
    this.#endSuspicion(row);
    const options = onSpread === undefined ? { name: row.name } : { name: row.name, onFinished: onSpread };
    row.incarnation = accusation.incarnation;
    this.#context.table.setState(row, state, this.#context.now);
    this.#context.emit({ kind: 'memberLeft', member: memberOf(row) });
    this.#context.queue.add(encodeDead({ kind: 'dead', ...accusation }), options);
  }

  /** 8.5: a remote dead is only a suspicion here, raised in our own name. */
  merge(claims: readonly SwimClaim[], from: Endpoint): void {
    const { config, table } = this.#context;
    let overflow = 0;
    for (const claim of claims) {
      const { name: node, incarnation } = claim;
      if (claim.state === 'left') this.onDead({ node, incarnation, from: node }, from);
      else if (claim.state !== 'alive') this.onSuspect({ node, incarnation, from: config.name }, from);
      else if (table.size >= config.membersMax && table.get(node) === undefined) overflow += 1;
      else this.onAlive(claim, from);
    }
    // Once for the whole list: a peer that invents a million names must not cause a million events.
    if (overflow > 0) this.#context.drop('tableFull', from);
  }

  /**
   * A datagram came from `from`. If that is one we hold for suspect, dead or left, it plainly lives, but only it may say so: told what
   * we believe, it refutes at once, unless it is still leaving. (memberlist leaves it to gossip, which may miss us, and to the next push/pull.)
   */
  onContact(from: Endpoint): void {
    const { config, isLeaving, now, table } = this.#context;
    const row = table.at(from);
    if (row === undefined || row.state === 'alive' || isLeaving) return;
    if (now - row.toldAt < config.gossipIntervalMs) return;
    row.toldAt = now;
    const accusation = { incarnation: row.incarnation, node: row.name, from: config.name };
    const isSuspect = row.state === 'suspect';
    const message = isSuspect
      ? encodeSuspect({ kind: 'suspect', ...accusation })
      : encodeDead({ kind: 'dead', ...accusation });
    this.#outbox.send(from, message);
  }

  /** Suspicion of another layer, or of our own prober. */
  suspect(node: string): void {
    const row = this.#context.table.get(node);
    if (row === undefined || this.#context.isSelf(node)) return;
    this.onSuspect({ node, incarnation: row.incarnation, from: this.#context.config.name }, undefined);
  }

  /** 8.7, at each turn of the probing order; left rows by the same rule as dead ones (the newer memberlist). */
  sweep(): void {
    const { config, now, table } = this.#context;
    const gone = table.sweep((row) => {
      return !isPresent(row.state) && now - row.changedAt > config.gossipToTheDeadMs && !this.#context.isSelf(row.name);
    });
    for (const row of gone) {
      this.#tombstones.add(row);
      this.#context.emit({ kind: 'memberRemoved', member: memberOf(row) });
    }
  }

  tick(): void {
    const { config, now, table } = this.#context;
    for (let node = this.#lastWords.popDue(now); node !== undefined; node = this.#lastWords.popDue(now)) {
      this.#giveLastWord(present(table.get(node), 'a suspicion is about a row of the table'));
    }
    for (let node = this.#suspicions.popDue(now); node !== undefined; node = this.#suspicions.popDue(now)) {
      const row = present(table.get(node), 'a suspicion is about a row of the table');
      this.onDead({ node, incarnation: row.incarnation, from: config.name }, undefined);
    }
  }

  nextDeadline(): MonotonicMs {
    return Math.min(this.#suspicions.next(), this.#lastWords.next());
  }

  /** We stood still for `byMs` and could have heard no refutation. */
  postpone(byMs: number): void {
    for (const row of this.#context.table.rows()) {
      if (row.suspicion === undefined) continue;
      row.suspicion.postpone(byMs);
      this.#setDeadline(row, row.suspicion);
    }
  }

  check(): void {
    let suspicions = 0;
    for (const row of this.#context.table.rows()) {
      assert((row.state === 'suspect') === (row.suspicion !== undefined), 'suspects, and only they, have a suspicion');
      assert((row.suspicion !== undefined) === this.#suspicions.has(row.name), 'a suspicion has a deadline');
      assert(row.suspicion !== undefined || !this.#lastWords.has(row.name), 'only a suspect is asked for a last word');
      if (row.suspicion !== undefined) suspicions += 1;
      const before = this.#checkedIncarnations.get(row) ?? 0;
      assert(row.incarnation >= before, 'the incarnation of a row never falls');
      this.#checkedIncarnations.set(row, row.incarnation);
      if (!this.#context.isSelf(row.name)) continue;
      assert(
        row.state === (this.#context.isLeaving ? 'left' : 'alive'),
        'we are alive in our own table until we leave',
      );
      assert(row.incarnation === this.#incarnation, 'our row carries our incarnation');
    }
    assert(suspicions === this.#suspicions.size, 'no deadline outlives its suspicion');
  }

  /** The row that an accusation is about; undefined when it is nobody's or older than what we know. */
  #accused(accusation: Accusation, from: Endpoint | undefined): Row | undefined {
    if (from !== undefined && (accusation.incarnation >= INCARNATION_LIMIT || !isNameSound(accusation.from))) {
      this.#context.drop(accusation.incarnation >= INCARNATION_LIMIT ? 'badIncarnation' : 'badName', from);
      return undefined;
    }
    const row = this.#context.table.get(accusation.node);
    if (row === undefined) return undefined;
    if (accusation.incarnation >= row.incarnation) return row;
    if (from !== undefined && this.#context.isSelf(row.name)) this.#tellAccuser(from);
    return undefined;
  }

  /** Somebody repeats what we have refuted: our answer has not reached it, and may not before the next push/pull. */
  #tellAccuser(accuser: Endpoint): void {
    const { isLeaving, now, table } = this.#context;
    if (isLeaving || now - this.#toldAt < TELL_INTERVAL_MS || table.at(accuser) === undefined) return;
    this.#toldAt = now;
    this.#outbox.send(accuser, aliveMessage(this.self));
  }

  /** 8.1, step 4: another address may have the name when its bearer is gone, or when it is the same node that has moved. */
  #onOtherAddress(row: Row, claim: SwimClaim): void {
    const { config, delegate, now } = this.#context;
    const isGone = !isPresent(row.state);
    const isExpired = isGone && config.deadNodeReclaimMs > 0 && now - row.changedAt > config.deadNodeReclaimMs;
    if (row.state !== 'left' && !isExpired && !delegate.mayReclaim(memberOf(row), claim)) {
      const theirs = endpointOf(claim.addressBytes, claim.port);
      this.#context.emit({ kind: 'nameConflict', held: memberOf(row), theirs, meta: claim.meta });
      this.#checkBearer(row, claim, theirs);
      return;
    }
    // Word of our own former process: we go above it, so that those who hold it believe us.
    if (this.#context.isSelf(row.name)) this.#refute(claim.incarnation);
    else if (isGone) this.#takeOver(row, claim);
    // Of two addresses of one node the higher incarnation is the newer: the moved node sees its former one, and goes above it.
    else if (claim.incarnation > row.incarnation) this.#takeOver(row, claim);
  }

  /** Of two processes of one name: is the one that we believe in still there? When the name is ours, is the other one? */
  #checkBearer(row: Row, claim: SwimClaim, theirs: Endpoint): void {
    const { name, endpoint: bearer } = row;
    if (this.#context.isSelf(name)) {
      const onAnswer = (): void => this.#context.emit({ kind: 'nameTaken', theirs });
      this.#checks.begin({ name, bearer: theirs, onAnswer, onSilence: () => undefined });
      return;
    }
    const onSilence = (): void => {
      const held = this.#context.table.get(name);
      // Somebody else may have settled it meanwhile.
      const hasMoved = formatEndpoint(row.endpoint) !== formatEndpoint(bearer);
      if (held !== row || !isPresent(row.state) || hasMoved) return;
      if (this.#context.delegate.mayReplaceSilent(memberOf(row), claim)) this.#takeOver(row, claim);
    };
    this.#checks.begin({ name, bearer, onAnswer: () => undefined, onSilence });
  }

  #takeOver(row: Row, claim: SwimClaim): void {
    // Maybe another process: its incarnations have nothing to do with the old ones.
    this.#checkedIncarnations.delete(row);
    const isQuiet = isPresent(row.state) && equalBytes(row.meta, claim.meta);
    this.#context.table.setAddress(row, claim.addressBytes, claim.port);
    this.#adopt(row, claim);
    if (isQuiet) this.#context.emit({ kind: 'memberUpdated', member: memberOf(row) });
  }

  /** Believes an alive claim, spreads it, and says what changed. */
  #adopt(row: Row, claim: SwimClaim): void {
    const { now, queue, stats, table } = this.#context;
    const before = row.state;
    const isMetaNew = !equalBytes(row.meta, claim.meta);
    this.#endSuspicion(row);
    row.incarnation = claim.incarnation;
    row.meta = claim.meta;
    row.versions = claim.versions;
    table.setState(row, 'alive', now);
    if (this.#context.isSelf(row.name)) stats.incarnation = row.incarnation;
    queue.add(aliveMessage(row), { name: row.name });
    if (before === 'suspect') this.#context.emit({ kind: 'memberRefuted', member: memberOf(row) });
    if (!isPresent(before)) this.#context.emit({ kind: 'memberJoined', member: memberOf(row) });
    else if (isMetaNew) this.#context.emit({ kind: 'memberUpdated', member: memberOf(row) });
  }

  /** 8.4: somebody doubts us. We answer with an incarnation above what was said, and doubt ourselves a little. */
  #refute(accusedIncarnation: number): void {
    const { awareness, queue, stats } = this.#context;
    const self = this.self;
    this.#incarnation = Math.max(this.#incarnation, accusedIncarnation) + 1;
    self.incarnation = this.#incarnation;
    stats.incarnation = this.#incarnation;
    stats.refutations += 1;
    awareness.apply(1);
    queue.add(aliveMessage(self), { name: self.name });
    this.#context.emit({ kind: 'refuted', incarnation: this.#incarnation });
  }

  #endSuspicion(row: Row): void {
    if (row.suspicion === undefined) return;
    row.suspicion = undefined;
    this.#suspicions.delete(row.name);
    this.#lastWords.delete(row.name);
  }

  /**
   * A late confirmation may put the end of a suspicion into the past; the verdict still waits for the last words (memberlist draws
   * it at once, and so declares dead whoever two members accuse whom the refutation passed by).
   */
  #setDeadline(row: Row, { deadline }: Suspicion): void {
    const { config, now } = this.#context;
    const wordsMs = LAST_WORDS * config.gossipIntervalMs;
    const heldAt = this.#suspicions.deadlineOf(row.name) ?? Number.NEGATIVE_INFINITY;
    const at = Math.max(deadline, Math.min(heldAt, now + wordsMs));
    this.#suspicions.set(row.name, at);
    this.#lastWords.set(row.name, at - wordsMs);
  }

  /** A member that has refuted us already says so again, to us alone. */
  #giveLastWord(row: Row): void {
    const { config, now } = this.#context;
    const { incarnation, name: node } = row;
    this.#outbox.send(row.endpoint, encodeSuspect({ kind: 'suspect', incarnation, node, from: config.name }));
    const nextAt = now + config.gossipIntervalMs;
    // The answer to one that is sent together with the verdict would come too late.
    const verdictAt = present(this.#suspicions.deadlineOf(node), 'a suspicion has a deadline');
    if (nextAt < verdictAt - config.gossipIntervalMs / 2) this.#lastWords.set(node, nextAt);
  }
}

/** 8.1, step 5. About ourselves an equal incarnation is not stale: it may carry other metadata, which we must refute. */
function isStale(claim: SwimClaim, row: Row, isSelf: boolean): boolean {
  return isSelf ? claim.incarnation < row.incarnation : !supersedes(claim, row);
}

function aliveMessage(row: Row): Uint8Array {
  return encodeAlive({
    kind: 'alive',
    incarnation: row.incarnation,
    node: row.name,
    address: row.addressBytes,
    port: row.port,
    meta: row.meta,
    versions: row.versions,
  });
}
