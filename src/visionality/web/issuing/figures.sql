-- Signed figures, for psycopg, as vis_reader.

-- name: signed
select created_at, actor, detail from vis.admin_events where org_id = %(org_id)s and kind = %(kind)s
 order by seq desc limit 100;
