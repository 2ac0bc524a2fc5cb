-- Administrative acts and the life of keys, for psycopg. Run as vis_reader inside a transaction that has set vis.org_id.

-- name: admin
-- The newest first, behind a number; every filter that is null lets everything through.
select seq, id, created_at, kind, actor, source_ip, detail, leaf_hash from vis.admin_events
 where org_id = %(org_id)s
   and (%(before)s::bigint is null or seq < %(before)s)
   and (%(kind)s::text is null or kind = %(kind)s)
   and (%(actor)s::text is null or actor = %(actor)s)
   and (%(since)s::timestamptz is null or created_at >= %(since)s)
   and (%(until)s::timestamptz is null or created_at < %(until)s)
 order by seq desc limit %(limit)s;

-- name: keys
select seq, id, created_at, kind, key_id, subject, actor, detail, leaf_hash from vis.key_events
 where org_id = %(org_id)s
   and (%(before)s::bigint is null or seq < %(before)s)
   and (%(kind)s::text is null or kind = %(kind)s)
   and (%(actor)s::text is null or actor = %(actor)s)
   and (%(key)s::uuid is null or key_id = %(key)s::uuid)
   and (%(subject)s::text is null or subject = %(subject)s)
   and (%(since)s::timestamptz is null or created_at >= %(since)s)
   and (%(until)s::timestamptz is null or created_at < %(until)s)
 order by seq desc limit %(limit)s;
