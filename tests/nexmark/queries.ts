/** A query: the jobs that answer it, in order, the topic of their answer, and what must be there, as SQL over the events. */
export interface NexmarkQuery {
  readonly name: string;
  /** Of `jobs/nexmark`. */
  readonly jobs: readonly string[];
  readonly topic: string;
  /** Its columns are those that are compared; every row is. */
  readonly sql: string;
  /** Fewer rows than this would prove nothing. */
  readonly atLeastRows: number;
  /** What it takes of the topics: some chains need the order that events have in one partition (docs/nexmark.md); where each record is answered by itself, it makes no difference. */
  readonly partitions: 'any' | 'one' | 'indifferent';
}

const dayMs = 86_400_000;
const closing = `
  SELECT a.id AS id, a.category AS category, a.seller AS seller, max(b.price) AS price, min(b.dateTime) AS opened,
    max(b.dateTime) AS closed, argMax(b.bidder, (b.price, -b.dateTime)) AS bidder, argMax(b.dateTime, (b.price, -b.dateTime)) AS at
  FROM auctions AS a JOIN bids AS b ON a.id = b.auction
  WHERE b.dateTime BETWEEN a.dateTime AND a.expires
  GROUP BY a.id, a.category, a.seller`;

const ranks = [
  ['', '1'],
  ['low_', 'price < 10000'],
  ['middle_', 'price >= 10000 AND price < 1000000'],
  ['high_', 'price >= 1000000'],
] as const;
const counts = ranks.map(([rank, condition]) => `countIf(${condition}) AS ${rank}bids`).join(', ');
const distinct = ['bidder', 'auction']
  .flatMap((field) =>
    // An aggregate of nothing is null, but for counts of records.
    ranks.map(([rank, condition]) => `nullIf(uniqExactIf(${field}, ${condition}), 0) AS ${rank}${field}s`),
  )
  .join(', ');
const inDays = `intDiv(dateTime, ${dayMs}) * ${dayMs} AS window_start`;

/** Nexmark's queries as far as `jobs/nexmark` has them. */
export const nexmarkQueries: readonly NexmarkQuery[] = [
  {
    name: 'q0',
    jobs: ['q0'],
    topic: 'nexmark-q0',
    sql: 'SELECT auction, bidder, price, channel, dateTime FROM bids',
    atLeastRows: 10_000,
    partitions: 'indifferent',
  },
  {
    name: 'q1',
    jobs: ['q1'],
    topic: 'nexmark-q1',
    sql: 'SELECT auction, bidder, price * 0.908 AS `features.price_euro`, dateTime FROM bids',
    atLeastRows: 10_000,
    partitions: 'indifferent',
  },
  {
    name: 'q2',
    jobs: ['q2'],
    topic: 'nexmark-q2',
    sql: 'SELECT auction, bidder, price, dateTime FROM bids WHERE auction % 123 = 0',
    atLeastRows: 50,
    partitions: 'indifferent',
  },
  {
    name: 'q3',
    jobs: ['q3'],
    topic: 'nexmark-q3',
    sql: `SELECT p.id AS id, p.name AS name, p.city AS city, p.state AS state, a.id AS auction
      FROM auctions AS a JOIN persons AS p ON a.seller = p.id
      WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')`,
    atLeastRows: 50,
    partitions: 'any',
  },
  {
    name: 'q4',
    jobs: ['closing-prices', 'q4'],
    topic: 'nexmark-q4',
    sql: `SELECT category, intDiv(opened, ${dayMs}) * ${dayMs} AS window_start, avg(price) AS average, count() AS auctions
      FROM (${closing}) GROUP BY category, window_start`,
    atLeastRows: 10,
    partitions: 'any',
  },
  {
    name: 'q5',
    jobs: ['q5-counts', 'q5-most', 'q5'],
    topic: 'nexmark-q5',
    sql: `SELECT event_time, auction, bids FROM (
        SELECT event_time, auction, count() AS bids, max(count()) OVER (PARTITION BY event_time) AS most
        FROM (SELECT auction, arrayJoin(arrayMap(i -> (intDiv(dateTime, 2000) - i) * 2000, range(5))) AS event_time FROM bids)
        GROUP BY event_time, auction)
      WHERE bids = most`,
    atLeastRows: 900,
    partitions: 'one',
  },
  {
    name: 'q6',
    jobs: ['closing-prices', 'q6'],
    topic: 'nexmark-q6',
    sql: `SELECT id, seller, avg(price) OVER (PARTITION BY seller ORDER BY closed ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS \`features.average\`
      FROM (${closing})`,
    atLeastRows: 500,
    partitions: 'one',
  },
  {
    name: 'q7',
    jobs: ['q7-highest', 'q7'],
    topic: 'nexmark-q7',
    sql: `SELECT auction, bidder, price, event_time FROM (
        SELECT auction, bidder, price, dateTime AS event_time, max(price) OVER (PARTITION BY intDiv(dateTime, 10000)) AS most FROM bids)
      WHERE price = most`,
    atLeastRows: 200,
    partitions: 'any',
  },
  {
    name: 'q8',
    jobs: ['q8'],
    topic: 'nexmark-q8',
    sql: `SELECT p.id AS id, p.name AS name, intDiv(p.dateTime, 10000) * 10000 AS window_start, count() AS auctions
      FROM persons AS p JOIN auctions AS a ON p.id = a.seller
      WHERE intDiv(p.dateTime, 10000) = intDiv(a.dateTime, 10000)
      GROUP BY id, name, window_start`,
    atLeastRows: 10,
    partitions: 'any',
  },
  {
    name: 'q9',
    jobs: ['q9-bids', 'closing-prices', 'q9-highest', 'q9'],
    topic: 'nexmark-q9',
    sql: `SELECT id, price, bidder, at FROM (${closing})`,
    atLeastRows: 500,
    partitions: 'one',
  },
  {
    name: 'q11',
    jobs: ['q11'],
    topic: 'nexmark-q11',
    sql: `SELECT bidder, min(dateTime) AS window_start, max(dateTime) + 10000 AS window_end, count() AS bids FROM (
        SELECT bidder, dateTime, sum(begins) OVER (PARTITION BY bidder ORDER BY dateTime) AS session FROM (
          SELECT bidder, dateTime, dateTime - lagInFrame(dateTime, 1, -10000) OVER (
            PARTITION BY bidder ORDER BY dateTime ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) >= 10000 AS begins FROM bids))
      GROUP BY bidder, session`,
    atLeastRows: 1_000,
    partitions: 'any',
  },
  {
    name: 'q12',
    jobs: ['q12'],
    topic: 'nexmark-q12',
    sql: 'SELECT bidder, intDiv(published, 10000) * 10000 AS window_start, count() AS bids FROM bids GROUP BY bidder, window_start',
    atLeastRows: 1_000,
    partitions: 'any',
  },
  {
    name: 'q14',
    jobs: ['q14'],
    topic: 'nexmark-q14',
    sql: `SELECT auction, bidder, 0.908 * price AS \`features.price_euro\`, dateTime, countSubstrings(extra, 'c') AS \`features.letters_c\`,
        multiIf(hour BETWEEN 8 AND 18, 'dayTime', hour <= 6 OR hour >= 20, 'nightTime', 'otherTime') AS \`features.time_of_day\`
      FROM (SELECT *, toHour(fromUnixTimestamp64Milli(dateTime, 'UTC')) AS hour FROM bids)
      WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000`,
    atLeastRows: 1_000,
    partitions: 'indifferent',
  },
  {
    name: 'q15',
    jobs: ['q15'],
    topic: 'nexmark-q15',
    sql: `SELECT ${inDays}, ${counts}, ${distinct} FROM bids GROUP BY window_start`,
    atLeastRows: 2,
    partitions: 'any',
  },
  {
    name: 'q16',
    jobs: ['q16'],
    topic: 'nexmark-q16',
    sql: `SELECT channel, ${inDays}, max(dateTime) AS latest, ${counts}, ${distinct} FROM bids GROUP BY channel, window_start`,
    atLeastRows: 1_000,
    partitions: 'any',
  },
  {
    name: 'q17',
    jobs: ['q17'],
    topic: 'nexmark-q17',
    sql: `SELECT auction, ${inDays}, ${counts}, min(price) AS min_price, max(price) AS max_price, avg(price) AS avg_price, sum(price) AS sum_price
      FROM bids GROUP BY auction, window_start`,
    atLeastRows: 1_000,
    partitions: 'any',
  },
  {
    name: 'q18',
    jobs: ['q18'],
    topic: 'nexmark-q18',
    sql: `SELECT bidder, auction, ${inDays}, argMax(price, bids.dateTime) AS price, argMax(channel, bids.dateTime) AS channel, max(dateTime) AS at
      FROM bids GROUP BY bidder, auction, window_start`,
    atLeastRows: 5_000,
    partitions: 'any',
  },
  {
    name: 'q20',
    jobs: ['q20'],
    topic: 'nexmark-q20',
    sql: `SELECT b.auction AS auction, greatest(b.dateTime, a.dateTime) AS event_time, b.bidder AS bidder, b.price AS price,
        b.channel AS channel, a.itemName AS itemName, a.initialBid AS initialBid, a.seller AS seller
      FROM bids AS b JOIN auctions AS a ON b.auction = a.id WHERE a.category = 10`,
    atLeastRows: 1_000,
    partitions: 'any',
  },
  {
    name: 'q21',
    jobs: ['q21'],
    topic: 'nexmark-q21',
    sql: `SELECT * FROM (
        SELECT auction, bidder, price, channel, dateTime,
          multiIf(channel = 'Apple', '0', channel = 'Google', '1', channel = 'Facebook', '2', channel = 'Baidu', '3',
            nullIf(extract(url, '[&?]channel_id=([^&]*)'), '')) AS \`features.channel_id\`
        FROM bids)
      WHERE \`features.channel_id\` IS NOT NULL`,
    atLeastRows: 10_000,
    partitions: 'indifferent',
  },
  {
    name: 'q22',
    jobs: ['q22'],
    topic: 'nexmark-q22',
    sql: `SELECT auction, bidder, price, channel, splitByChar('/', url)[4] AS \`features.dir1\`, splitByChar('/', url)[5] AS \`features.dir2\`,
        splitByChar('/', url)[6] AS \`features.dir3\`
      FROM bids`,
    atLeastRows: 10_000,
    partitions: 'indifferent',
  },
];
