-- The replay store's statements, for asyncpg. Run as vis_writer.

-- name: claim
-- The proofs that nobody claimed before.
insert into vis.nonces (org_id, signed_at, digest)
select * from unnest($1::uuid[], $2::timestamptz[], $3::bytea[])
on conflict do nothing returning org_id, signed_at, digest;

-- name: timeline
-- Since when this timeline of the database's log has been known.
with now_on as (select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint as timeline),
made as (
  insert into vis.replay_fences (timeline, since) select timeline, now() from now_on
  on conflict do nothing returning since)
select since from made
union all select f.since from vis.replay_fences f join now_on using (timeline);
