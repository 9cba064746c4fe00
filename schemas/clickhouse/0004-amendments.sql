-- Amendments, as the job publishes them: one row for each, keyed by the position of the record that was decided on and by the number of the amendment. Features are
-- of any type, so they are kept as text, by name: toFloat64OrNull(after['rolling_avg_7d']).
CREATE TABLE IF NOT EXISTS amendments
(
    transaction_id String,
    card_id String,
    terminal_id String,
    event_time DateTime64(3, 'UTC') COMMENT 'when it happened, by the record',
    decision_time Nullable(DateTime64(3, 'UTC')) COMMENT 'when the log took the record, which was then decided on',
    source_partition UInt32 COMMENT 'where the record stood in the topic that the job read',
    source_offset UInt64,
    revision UInt32 COMMENT 'the number of the amendment among those of its decision, from 1',
    changed Array(LowCardinality(String)) COMMENT 'features that are beyond their tolerance',
    `cause.event_time` DateTime64(3, 'UTC') COMMENT 'of the late record that made the difference',
    `cause.arrival_time` Nullable(DateTime64(3, 'UTC')) COMMENT 'when the log took it',
    `cause.source_partition` UInt32,
    `cause.source_offset` UInt64,
    before Map(LowCardinality(String), Nullable(String)) COMMENT 'as they were told last',
    after Map(LowCardinality(String), Nullable(String)) COMMENT 'as they would be, had all come in order',
    topic_partition UInt32 COMMENT 'where the amendment stands in the topic that was followed',
    topic_offset UInt64,
    topic_timestamp DateTime64(3, 'UTC') COMMENT 'when the log took the amendment',
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1,
    INDEX by_card card_id TYPE bloom_filter(0.01) GRANULARITY 2
)
ENGINE = ReplacingMergeTree
ORDER BY (source_partition, source_offset, revision)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Each row once, whatever was sent twice.
CREATE OR REPLACE VIEW amendments_current AS
SELECT * FROM amendments FINAL;

-- What is known of each amended decision now, and how long it took.
CREATE OR REPLACE VIEW amended_decisions AS
SELECT
    source_partition,
    source_offset,
    any(transaction_id) AS transaction_id,
    any(card_id) AS card_id,
    any(event_time) AS event_time,
    any(decision_time) AS decision_time,
    max(revision) AS amendments,
    argMin(before, revision) AS decided_on,
    argMax(after, revision) AS known_now,
    argMax(`cause.arrival_time`, revision) AS amended_at
FROM amendments FINAL
GROUP BY source_partition, source_offset;
