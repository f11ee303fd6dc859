-- What keeps the traces short and small, inside the database, as an event: see ADR 0040. Told its limits by `start`.

-- The bytes of the traces' tables on the disk, as the files are now.
CREATE OR REPLACE DEFINER = 'root'@'localhost' FUNCTION bytes_stored() RETURNS BIGINT NOT DETERMINISTIC READS SQL DATA
  RETURN (SELECT IFNULL(SUM(FILE_SIZE), 0) FROM information_schema.INNODB_SYS_TABLESPACES WHERE NAME LIKE 'zipkin/zipkin\_%');

DELIMITER $$

-- Deletes what is of `last` (microseconds since 1970) or earlier, and what claims to be of a time to come: nobody could say when its time is
-- over. In slices, so that spans are stored meanwhile and nothing long has to be undone after a power cut.
CREATE OR REPLACE DEFINER = 'root'@'localhost' PROCEDURE forget(last BIGINT)
BEGIN
  DECLARE to_come BIGINT DEFAULT (UNIX_TIMESTAMP() + 3600) * 1000000;
  REPEAT
    DELETE FROM zipkin_annotations WHERE a_timestamp <= last ORDER BY a_timestamp LIMIT 5000;
  UNTIL ROW_COUNT() = 0 END REPEAT;
  REPEAT
    DELETE FROM zipkin_annotations WHERE a_timestamp > to_come ORDER BY a_timestamp LIMIT 5000;
  UNTIL ROW_COUNT() = 0 END REPEAT;
  REPEAT
    DELETE FROM zipkin_spans WHERE start_ts <= last ORDER BY start_ts LIMIT 5000;
  UNTIL ROW_COUNT() = 0 END REPEAT;
  REPEAT
    DELETE FROM zipkin_spans WHERE start_ts > to_come ORDER BY start_ts LIMIT 5000;
  UNTIL ROW_COUNT() = 0 END REPEAT;
  -- Half of a span that both sides report has no time of its own: it goes with the last of its annotations.
  REPEAT
    DELETE FROM zipkin_spans WHERE start_ts IS NULL AND NOT EXISTS (
      SELECT 1 FROM zipkin_annotations a WHERE a.trace_id_high = zipkin_spans.trace_id_high
        AND a.trace_id = zipkin_spans.trace_id AND a.span_id = zipkin_spans.id
    ) LIMIT 5000;
  UNTIL ROW_COUNT() = 0 END REPEAT;
END $$

-- What is too old goes. When the tables are larger than `most_bytes`, the older half goes, and the tables are written anew: files of InnoDB
-- do not become smaller by themselves.
CREATE OR REPLACE DEFINER = 'root'@'localhost' PROCEDURE retain(age_h BIGINT, most_bytes BIGINT)
BEGIN
  DECLARE half BIGINT DEFAULT 0;
  DECLARE middle BIGINT DEFAULT NULL;
  IF GET_LOCK('retention', 0) = 1 THEN
    CALL forget((UNIX_TIMESTAMP() - age_h * 3600) * 1000000);
    IF bytes_stored() > most_bytes THEN
      SELECT COUNT(*) DIV 2 INTO half FROM zipkin_annotations;
      SELECT a_timestamp INTO middle FROM zipkin_annotations ORDER BY a_timestamp LIMIT half, 1;
      CALL forget(IFNULL(middle, 0));
      ALTER TABLE zipkin_annotations FORCE;
      ALTER TABLE zipkin_spans FORCE;
    END IF;
    DO RELEASE_LOCK('retention');
  END IF;
END $$

DELIMITER ;
