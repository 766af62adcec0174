-- Of two active scans of one directory, which a race between two processes could make, the first one stays.
UPDATE scans SET state = 'failed', error = 'interrupted: the directory had another scan'
WHERE state IN ('queued', 'running', 'paused') AND EXISTS (
    SELECT 1 FROM scans AS other
    WHERE other.library_directory_id = scans.library_directory_id AND other.state IN ('queued', 'running', 'paused')
    AND (other.created_at < scans.created_at OR (other.created_at = scans.created_at AND other.id < scans.id))
);
CREATE UNIQUE INDEX scans_active ON scans (library_directory_id) WHERE state IN ('queued', 'running', 'paused');

-- The run of a process that works on it: what another one writes of it meanwhile doesn't count.
ALTER TABLE scans ADD COLUMN owner TEXT;
-- 1: whoever works on it is asked to stop.
ALTER TABLE scans ADD COLUMN is_cancel_asked BIGINT NOT NULL DEFAULT 0;
