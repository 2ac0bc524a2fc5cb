-- What the control plane reads of keys beside its own tables, for psycopg. Run as vis_web under row security.

-- name: installation
select installation_id from vis.installation;

-- name: revision
select revision from vis.org_revisions where org_id = %(org_id)s;

-- name: events
-- The life of keys, the newest first; of one key where it is named.
select created_at, seq, kind, key_id, subject, actor, detail from vis.key_events
 where org_id = %(org_id)s and (%(key_id)s::uuid is null or key_id = %(key_id)s::uuid)
 order by seq desc limit 1000;
