-- Predictions, as the job publishes them: one row for each, keyed by the position of the record that it answers.
--
-- The sink sends a chunk again when it cannot know whether it arrived. Such a chunk is dropped whole by its token for as long as the
-- deduplication window remembers it; after that its rows replace themselves, since they have the same key. Until ClickHouse has merged
-- them, a plain SELECT may see both: read predictions_current, which counts each once.
CREATE TABLE IF NOT EXISTS predictions
(
    transaction_id String,
    amount Float64,
    rolling_avg_7d Nullable(Float64),
    amount_to_avg_ratio Nullable(Float64),
    prediction UInt8 COMMENT '1 where the probability reached the threshold',
    probability Float64,
    threshold Float64,
    card_id String,
    terminal_id String,
    event_time DateTime64(3, 'UTC') COMMENT 'when it happened, by the record',
    model LowCardinality(String),
    model_version LowCardinality(String),
    model_digest LowCardinality(String),
    feature_set_digest LowCardinality(String),
    features Map(LowCardinality(String), Nullable(Float64)) COMMENT 'what the model was given, by name',
    reasons Array(String),
    late Bool,
    degraded Bool,
    source_partition UInt32 COMMENT 'where the record stood in the topic that the job read',
    source_offset UInt64,
    topic_partition UInt32 COMMENT 'where the prediction stands in the topic that was followed',
    topic_offset UInt64,
    topic_timestamp DateTime64(3, 'UTC') COMMENT 'when the log took the prediction',
    scored_at DateTime64(3, 'UTC') ALIAS topic_timestamp COMMENT 'when the record was answered',
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1,
    INDEX by_card card_id TYPE bloom_filter(0.01) GRANULARITY 2,
    INDEX by_transaction transaction_id TYPE bloom_filter(0.01) GRANULARITY 2
)
ENGINE = ReplacingMergeTree
ORDER BY (source_partition, source_offset)
-- Parts of a chunk in few files: one for each column, flushed, cost the server as much as the rows themselves.
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1, min_bytes_for_wide_part = 268435456;
