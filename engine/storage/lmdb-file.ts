import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/**
 * LMDB's file format, as far as it is needed to judge a file *before* it is mapped: LMDB follows page numbers without a second look,
 * and a page beyond the end of a file that was cut off ends the process with SIGBUS. From `mdb.c` of LMDB 1.0 as the lmdb package builds
 * it (data version 2, 64 bit, little-endian): MDB_page_header, MDB_meta, MDB_db, MDB_node, MDB_ovpage.
 */
const pageHeaderBytes = 24;
/** Where the two meta pages of an LMDB file end. */
export const metaBytes = 144;
const lmdbMagic = 0xbeefc0de;
const dataVersion = 2;
const noPage = 0xffff_ffff_ffff_ffffn;
const isBranch = 0x01;
const isLeaf = 0x02;
const isOverflow = 0x04;
const bigData = 0x01;
const subDatabase = 0x02;

/** One of the two meta pages: the root of everything as of one transaction. */
export interface LmdbMeta {
  readonly txnId: number;
  readonly pageSize: number;
  /** Pages `0…lastPage` were given out; the file may be shorter where the last ones are free again. */
  readonly lastPage: number;
  /** Roots of the tree of free pages and of the main tree; `null` for an empty one. */
  readonly roots: readonly (number | null)[];
  /** The meta as it stands in the file, without the page's header. */
  readonly raw: Buffer;
}

/** Reads one meta; `null` when it is none. */
export function parseMeta(raw: Buffer): LmdbMeta | null {
  if (raw.length < metaBytes || raw.readUInt32LE(0) !== lmdbMagic || (raw.readUInt32LE(4) & 0xffff) !== dataVersion)
    return null;
  const pageSize = raw.readUInt32LE(24);
  if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) return null;
  return {
    txnId: Number(raw.readBigUInt64LE(128)),
    pageSize,
    lastPage: Number(raw.readBigUInt64LE(120)),
    roots: [64, 112].map((at) => pageNumber(raw.readBigUInt64LE(at))),
    raw,
  };
}

/** The metas of an open file, newest first: none when it is no LMDB file. */
export function readMetas(fd: number): readonly LmdbMeta[] {
  const first = readMetaAt(fd, 0);
  // The second page's place is known from the first; where that one is damaged, try the usual size.
  const second = readMetaAt(fd, first?.pageSize ?? 4096);
  return [first, second].filter((meta) => meta !== null).toSorted((a, b) => b.txnId - a.txnId);
}

function readMetaAt(fd: number, page: number): LmdbMeta | null {
  const raw = Buffer.alloc(metaBytes);
  const bytesRead = readSync(fd, raw, 0, metaBytes, page + pageHeaderBytes);
  return bytesRead === metaBytes ? parseMeta(raw) : null;
}

/** A meta page, header and all, that says `meta`. */
export function metaPage(meta: LmdbMeta, page: 0 | 1): Buffer {
  const data = Buffer.alloc(meta.pageSize);
  data.writeBigUInt64LE(BigInt(page), 0);
  data.writeUInt16LE(0x08, 18);
  meta.raw.copy(data, pageHeaderBytes);
  return data;
}

/**
 * Walks every page that a meta leads to, and looks whether each is where it should be, is in the file, and is no younger than the meta.
 *
 * Called where a file is shorter than its meta says, after a power failure, and by `sluice doctor`. Cost: reads the trees' pages once, and of large
 * values the header alone.
 *
 * @returns what is wrong, in words that fit "got …"; `null` when all is well.
 */
export function findDamage(path: string, meta: LmdbMeta): string | null {
  const fd = openSync(path, 'r');
  try {
    return new TreeWalk(fd, meta).run();
  } finally {
    closeSync(fd);
  }
}

class TreeWalk {
  readonly #fd: number;
  readonly #meta: LmdbMeta;
  readonly #fileBytes: number;
  readonly #page: Buffer;
  readonly #pending: number[] = [];

  constructor(fd: number, meta: LmdbMeta) {
    this.#fd = fd;
    this.#meta = meta;
    this.#fileBytes = fstatSync(fd).size;
    this.#page = Buffer.alloc(meta.pageSize);
    for (const root of meta.roots) if (root !== null) this.#pending.push(root);
  }

  run(): string | null {
    let visited = 0;
    for (let page = this.#pending.pop(); page !== undefined; page = this.#pending.pop()) {
      visited += 1;
      if (visited > this.#meta.lastPage + 1) return 'pages that lead back to each other';
      const damage = this.#visit(page);
      if (damage !== null) return damage;
    }
    return null;
  }

  #visit(page: number): string | null {
    const damage = this.#read(page, this.#page.length);
    if (damage !== null) return damage;
    const flags = this.#page.readUInt16LE(18);
    if ((flags & (isBranch | isLeaf)) === 0) return `a page of another kind than a tree's (page ${page})`;
    const nodeCount = this.#page.readUInt16LE(20) >> 1;
    // The page is read again for every overflow page's header; what it says is taken out first.
    const nodes = Array.from({ length: nodeCount }, (_, index) => {
      const at = this.#page.readUInt16LE(pageHeaderBytes + 2 * index) + pageHeaderBytes;
      return at + 8 <= this.#page.length ? this.#node(at, (flags & isBranch) !== 0) : null;
    });
    for (const node of nodes) {
      if (node === null) return `a node that does not fit its page (page ${page})`;
      if (node.child !== null) this.#pending.push(node.child);
      if (node.overflow !== null) {
        const overflowDamage = this.#visitOverflow(node.overflow, node.overflowPages);
        if (overflowDamage !== null) return overflowDamage;
      }
    }
    return null;
  }

  #node(
    at: number,
    inBranch: boolean,
  ): { child: number | null; overflow: number | null; overflowPages: number } | null {
    const low = this.#page.readUInt32LE(at);
    const nodeFlags = this.#page.readUInt16LE(at + 4);
    if (inBranch) return { child: low + nodeFlags * 0x1_0000_0000, overflow: null, overflowPages: 0 };
    const data = at + 8 + this.#page.readUInt16LE(at + 6);
    if ((nodeFlags & bigData) !== 0) {
      if (data + 24 > this.#page.length) return null;
      return {
        child: null,
        overflow: Number(this.#page.readBigUInt64LE(data)),
        overflowPages: Number(this.#page.readBigUInt64LE(data + 16)),
      };
    }
    if (data + low > this.#page.length) return null;
    const child = (nodeFlags & subDatabase) !== 0 ? pageNumber(this.#page.readBigUInt64LE(data + 40)) : null;
    return { child, overflow: null, overflowPages: 0 };
  }

  #visitOverflow(page: number, pages: number): string | null {
    if ((page + pages) * this.#meta.pageSize > this.#fileBytes) return this.#cutOff(page + pages);
    const damage = this.#read(page, pageHeaderBytes);
    if (damage !== null) return damage;
    return (this.#page.readUInt16LE(18) & isOverflow) === 0 ? `a large value's page that is none (page ${page})` : null;
  }

  #read(page: number, bytes: number): string | null {
    if ((page + 1) * this.#meta.pageSize > this.#fileBytes) return this.#cutOff(page + 1);
    readSync(this.#fd, this.#page, 0, bytes, page * this.#meta.pageSize);
    if (Number(this.#page.readBigUInt64LE(0)) !== page)
      return `a page with another number than its place (page ${page})`;
    if (Number(this.#page.readBigUInt64LE(8)) > this.#meta.txnId) {
      return `a page that is younger than its tree (page ${page}, as of transaction ${this.#meta.txnId})`;
    }
    return null;
  }

  #cutOff(pages: number): string {
    return `a file that was cut off (data.mdb has ${this.#fileBytes} bytes, and must have at least ${pages * this.#meta.pageSize})`;
  }
}

function pageNumber(raw: bigint): number | null {
  return raw === noPage ? null : Number(raw);
}
