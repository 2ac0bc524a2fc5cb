-- The two low-rate audit logs, for psycopg. Run by the control plane in the transaction of the change itself, so that
-- a change without its event, or a number without its event, cannot be committed.

-- name: next_seq
insert into vis.stream_heads as h (org_id, log, last_seq) values (%(org_id)s, %(log)s, 1)
on conflict (org_id, log) do update set last_seq = h.last_seq + 1
returning last_seq;

-- name: key_event
insert into vis.key_events (org_id, created_at, id, seq, kind, key_id, subject, actor, detail, leaf_hash)
values (%(org_id)s, %(created_at)s, %(id)s, %(seq)s, %(kind)s, %(key_id)s, %(subject)s, %(actor)s, %(detail)s::jsonb, %(leaf_hash)s);

-- name: admin_event
insert into vis.admin_events (org_id, created_at, id, seq, kind, actor, source_ip, detail, leaf_hash)
values (%(org_id)s, %(created_at)s, %(id)s, %(seq)s, %(kind)s, %(actor)s, %(source_ip)s, %(detail)s::jsonb, %(leaf_hash)s);
