-- What a waiting refresh is about: `track_ids` holds the tracks that changed, as a JSON list (null: it may be any), and
-- `is_order` whether their change may have moved them inside a list that they stay in.
ALTER TABLE playlist_refreshes ADD COLUMN track_ids TEXT;
ALTER TABLE playlist_refreshes ADD COLUMN is_order BIGINT NOT NULL DEFAULT 1;
