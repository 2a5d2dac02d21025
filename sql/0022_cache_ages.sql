-- How old the cached free days were, by hour: what a look at Redis shows is gone with the next one.
CREATE TABLE cache_ages (
    hour           timestamptz PRIMARY KEY,             -- full hours, UTC
    median_seconds double precision NOT NULL,           -- the highest of the hour's looks
    oldest_seconds double precision NOT NULL,           -- the same
    fresh_share    double precision NOT NULL            -- the lowest: of a sample of the days that are mirrored
);
