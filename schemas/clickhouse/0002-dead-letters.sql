-- Records that could not be processed: where they stand, and what was wrong. Their bytes stay in the dead-letter topic, since nothing
-- that was not understood may be copied where card numbers must not be.
CREATE TABLE IF NOT EXISTS dead_letters
(
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    stage LowCardinality(String),
    code LowCardinality(String),
    message String,
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    topic_partition UInt32 COMMENT 'where the letter stands in the dead-letter topic',
    topic_offset UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1, fsync_part_directory = 1;
