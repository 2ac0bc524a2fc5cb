-- What a gateway writes up of minting, for asyncpg. Run as vis_writer.

-- name: next_seqs
-- The last of so many numbers of the organisation's log.
insert into vis.stream_heads as h (org_id, log, last_seq) values ($1, 'key_events', $2)
on conflict (org_id, log) do update set last_seq = h.last_seq + excluded.last_seq
returning last_seq;

-- name: key_event
insert into vis.key_events (org_id, created_at, id, seq, kind, key_id, subject, actor, detail, leaf_hash)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10);

-- name: token_window
-- The hard limit of a spend token: a budget of its own, that nobody edits, in its one window.
insert into vis.budget_windows (org_id, window_id, budget_id, scope_value, starts_at, ends_at, cap_nusd, hard)
values ($1, $2, $3, $4, $5, $6, $7, true);
