-- One analysis job for each audio, by its hash. `stages` are still to come, `asked` were asked of the server in this
-- attempt; `attempts` failed, `losses` ended with the server itself. `owner` is the Mismo that waits for the callbacks
-- (at `callback_base`), until `lease_until` passes without a renewal; `server` is the analysis server that has the job.
CREATE TABLE analysis_jobs (
    pk INTEGER PRIMARY KEY,
    audio_hash TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    stages TEXT NOT NULL,
    asked TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    error TEXT,
    token_hash TEXT,
    server TEXT,
    server_job_id TEXT,
    owner TEXT,
    callback_base TEXT,
    lease_until INTEGER,
    deadline INTEGER,
    clients TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    queued_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
);
CREATE UNIQUE INDEX analysis_jobs_token_hash ON analysis_jobs (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX analysis_jobs_queued ON analysis_jobs (priority, queued_at, pk) WHERE state = 'queued';
CREATE INDEX analysis_jobs_running ON analysis_jobs (audio_hash) WHERE state = 'running';
CREATE INDEX analysis_jobs_state ON analysis_jobs (state, queued_at, pk);
CREATE INDEX analysis_jobs_finished_at ON analysis_jobs (finished_at) WHERE state = 'completed';

-- What a stage found, for every file with this audio. `status`: done, or unsupported by the server that was asked.
-- Beats and waveforms have tables of their own.
CREATE TABLE analysis_results (
    audio_hash TEXT NOT NULL,
    stage TEXT NOT NULL,
    status TEXT NOT NULL,
    data TEXT NOT NULL,
    digest TEXT NOT NULL,
    analyzed_at INTEGER NOT NULL,
    PRIMARY KEY (audio_hash, stage)
);
CREATE INDEX analysis_results_stage ON analysis_results (stage, audio_hash);

-- Times of beats and downbeats in seconds, as little-endian float64.
CREATE TABLE analysis_beats (
    audio_hash TEXT PRIMARY KEY,
    beats BLOB NOT NULL,
    downbeats BLOB NOT NULL
);

-- A picture of the sound: six planes of `num_pixels` bytes, amplitude and intensity of the low, mid and high band.
CREATE TABLE analysis_waveforms (
    audio_hash TEXT NOT NULL,
    zoom_level INTEGER NOT NULL,
    num_pixels INTEGER NOT NULL,
    samples_per_pixel REAL NOT NULL,
    etag TEXT NOT NULL,
    planes BLOB NOT NULL,
    PRIMARY KEY (audio_hash, zoom_level)
);
