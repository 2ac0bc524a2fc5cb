-- The reaper's statements, for asyncpg. Run as vis_writer.

-- name: fence
-- Writers whose heartbeat is too old are fenced: their holds now belong to the reaper.
update vis.writers set fenced_at = now()
 where fenced_at is null and heartbeat_at < now() - make_interval(secs => $1::float8)
returning writer_no, process;

-- name: orphans
-- Holds that nobody will settle: of fenced writers, and those past their expiry. A draft that is a true-up waits for
-- an answer that any writer may see, so only its expiry counts.
select h.org_id, h.hold_id, h.request_id, h.amount_nusd, h.expires_at, h.draft, h.windows
  from vis.budget_holds h
  join vis.writers w on w.writer_no = h.writer_no
 where (w.fenced_at is not null and h.draft is not null and h.draft::json ->> 'entry' is distinct from 'true_up')
    or h.expires_at < now()
 order by h.expires_at limit $1;
