import { Redis } from 'ioredis';

/** What is in a run's Redis, read by the bytes' documented formats and by nothing of the product. */
export interface StoredState {
  readonly heads: readonly {
    readonly partition: number;
    readonly offset: number;
    readonly epoch: number;
    readonly watermark: number;
  }[];
  readonly totals: readonly { readonly partition: number; readonly card: string; readonly total: number }[];
  /** The rolling operator's rows. */
  readonly rows: readonly {
    readonly partition: number;
    readonly card: string;
    readonly time: number;
    readonly amount: number;
  }[];
  /** The ids that the duplicate operator remembers. */
  readonly ids: readonly { readonly partition: number; readonly id: string; readonly time: number }[];
  /** Every key, field and value, for whoever searches for what must not be there. */
  readonly bytes: readonly Buffer[];
}

const beforeAll = -1e15;

/**
 * Reads the state of all tasks of a job.
 *
 * @param rolling the rolling operator's name. Where the job has no operator of running totals, a card's is the sum of its rows: its longest window reaches back to the first.
 */
export async function readStoredState(
  port: number,
  task: (partition: number) => string,
  partitions: number,
  rolling = 'rolling',
): Promise<StoredState> {
  const redis = new Redis({ host: '127.0.0.1', port });
  const state = { heads: [], totals: [], rows: [], ids: [], bytes: [] } as {
    -readonly [K in keyof StoredState]: StoredState[K][number][];
  };
  const fieldsOf = async (key: string): Promise<(readonly [Buffer, Buffer])[]> => {
    const flat = (await redis.callBuffer('HGETALL', key)) as Buffer[];
    state.bytes.push(Buffer.from(key), ...flat);
    return Array.from({ length: flat.length / 2 }, (_, i) => [
      flat[2 * i] ?? Buffer.alloc(0),
      flat[2 * i + 1] ?? Buffer.alloc(0),
    ]);
  };
  for (let partition = 0; partition < partitions; partition++) {
    const header = `sluice:{${task(partition)}}`;
    const head = new Map((await fieldsOf(header)).map(([name, value]) => [name.toString(), value.toString()]));
    if (head.has('offset')) {
      const { w } = JSON.parse(head.get('metadata') ?? '{}') as { w: [number, number | null][] };
      const watermark = w.find(([at]) => at === partition)?.[1] ?? beforeAll;
      state.heads.push({ partition, offset: Number(head.get('offset')), epoch: Number(head.get('epoch')), watermark });
    }
    for (const [card, total] of await fieldsOf(`${header}:total`)) {
      state.totals.push({ partition, card: card.toString(), total: Number(total.toString()) });
    }
    for (const [card, value] of await fieldsOf(`${header}:${rolling}`)) {
      // u8 version, u8 columns, u16, u32 rows, then all times and all amounts as f64, little-endian.
      const count = value.readUInt32LE(4);
      for (let i = 0; i < count; i++) {
        const [time, amount] = [value.readDoubleLE(8 + 8 * i), value.readDoubleLE(8 + 8 * (count + i))];
        state.rows.push({ partition, card: card.toString(), time, amount });
        if (rolling !== 'rolling') state.totals.push({ partition, card: card.toString(), total: amount });
      }
    }
    for (const [, value] of await fieldsOf(`${header}:duplicates`)) {
      // u8 version, u32 records, for each f64 time, u32 length, id.
      let at = 5;
      for (let left = value.readUInt32LE(1); left > 0; left--) {
        const length = value.readUInt32LE(at + 8);
        state.ids.push({
          partition,
          id: value.toString('utf8', at + 12, at + 12 + length),
          time: value.readDoubleLE(at),
        });
        at += 12 + length;
      }
    }
  }
  redis.disconnect();
  return state;
}
