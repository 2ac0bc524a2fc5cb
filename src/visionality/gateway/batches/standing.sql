-- What the database knows of batches that go on, for asyncpg. Run as vis_writer.

-- name: lead
-- Whether this session is the one that looks at batches by itself, for as long as it lasts.
select pg_try_advisory_lock(hashtextextended('visionality batches', 0));

-- name: standing
-- The hold of each batch that is not charged to its end; the reaper has those past their expiry.
select h.org_id, h.hold_id, h.request_id, h.amount_nusd, h.expires_at, h.draft, h.windows
  from vis.budget_holds h
 where h.expires_at > now() and h.draft::json #>> '{tags,batch_id}' is not null and h.draft::json ->> 'entry' = 'true_up';

-- name: settled
-- The rows of a batch that are there since a moment.
select id from vis.request_logs
 where org_id = $1 and created_at >= $2 and request_id = $3 and entry = 'true_up';
