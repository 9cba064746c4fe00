-- Each row once, whatever was sent twice.
CREATE OR REPLACE VIEW predictions_current AS
SELECT * FROM predictions FINAL;

CREATE OR REPLACE VIEW dead_letters_current AS
SELECT * FROM dead_letters FINAL;

-- What was decided in each hour of event time, by model version.
CREATE OR REPLACE VIEW alerts_hourly AS
SELECT
    toStartOfHour(event_time) AS hour,
    model,
    model_version,
    count() AS predictions,
    countIf(prediction = 1) AS alerts,
    alerts / predictions AS alert_rate,
    sumIf(amount, prediction = 1) AS alerted_amount,
    uniqExactIf(card_id, prediction = 1) AS alerted_cards,
    avg(probability) AS mean_probability,
    countIf(late) AS late_records,
    countIf(degraded) AS degraded_records
FROM predictions FINAL
GROUP BY hour, model, model_version;

-- Cards by how often and how strongly they were flagged on a day: the analysts' list.
CREATE OR REPLACE VIEW alerted_cards_daily AS
SELECT
    toDate(event_time, 'UTC') AS day,
    card_id,
    countIf(prediction = 1) AS alerts,
    count() AS transactions,
    max(probability) AS highest_probability,
    sumIf(amount, prediction = 1) AS alerted_amount
FROM predictions FINAL
GROUP BY day, card_id
HAVING alerts > 0;

CREATE OR REPLACE VIEW dead_letters_by_code AS
SELECT topic, stage, code, count() AS letters, max(stored_at) AS last_stored_at
FROM dead_letters FINAL
GROUP BY topic, stage, code;
