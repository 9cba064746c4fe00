-- What scored both sides of an amendment, where the job says `rescore`. Empty elsewhere.
ALTER TABLE amendments ADD COLUMN IF NOT EXISTS model LowCardinality(String) COMMENT 'that scored both sides, where the job has amendments scored' AFTER after;
ALTER TABLE amendments ADD COLUMN IF NOT EXISTS model_version LowCardinality(String) AFTER model;

-- A view has the columns that its table had.
CREATE OR REPLACE VIEW amendments_current AS
SELECT * FROM amendments FINAL;
