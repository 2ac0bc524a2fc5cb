-- What is not needed any more, for psycopg. Run as vis_jobs.

-- name: nonces
-- A proof this old is refused for its time alone.
delete from vis.nonces where signed_at < %(before)s;

-- name: strangers
delete from vis.strangers where minute < %(before)s;
