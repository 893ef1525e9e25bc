-- Run once, when the database is made. The page reads as `viewer`, the indexer writes as `indexer`.
CREATE ROLE viewer NOLOGIN;
CREATE ROLE indexer NOLOGIN;
CREATE SCHEMA api;
CREATE TABLE api.films (
    key text PRIMARY KEY,
    title text NOT NULL,
    bytes bigint NOT NULL,
    changed timestamptz NOT NULL
);
GRANT USAGE ON SCHEMA api TO viewer, indexer;
GRANT SELECT ON api.films TO viewer, indexer;
GRANT INSERT, UPDATE, DELETE ON api.films TO indexer;
