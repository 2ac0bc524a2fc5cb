-- The two audit logs for people, for psycopg. Run as vis_reader inside a transaction that has set vis.org_id.

-- name: newest
-- Events of both logs, the newest first; a filter that is null lets everything through. What an event is about is its subject,
-- its key or any value of its detail. `before` is the last event of the page above.
select * from (
  (select 'admin' as log, org_id, created_at, id, seq, kind, null::uuid as key_id, null as subject, actor, source_ip, detail, leaf_hash
     from vis.admin_events
    where org_id = %(org_id)s and coalesce(%(log)s::text, 'admin') = 'admin'
      and (%(kind)s::text is null or kind = %(kind)s) and (%(actor)s::text is null or actor = %(actor)s)
      and (%(subject)s::text is null or exists (select from jsonb_each_text(detail) d where d.value = %(subject)s))
      and (%(start)s::timestamptz is null or created_at >= %(start)s) and (%(end)s::timestamptz is null or created_at < %(end)s)
      and (%(before)s::timestamptz is null or (created_at, id) < (%(before)s::timestamptz, %(before_id)s::uuid))
    order by created_at desc, id desc limit %(limit)s)
  union all
  (select 'keys', org_id, created_at, id, seq, kind, key_id, subject, actor, null, detail, leaf_hash
     from vis.key_events
    where org_id = %(org_id)s and coalesce(%(log)s::text, 'keys') = 'keys'
      and (%(kind)s::text is null or kind = %(kind)s) and (%(actor)s::text is null or actor = %(actor)s)
      and (%(subject)s::text is null or subject = %(subject)s or key_id::text = %(subject)s
           or exists (select from jsonb_each_text(detail) d where d.value = %(subject)s))
      and (%(start)s::timestamptz is null or created_at >= %(start)s) and (%(end)s::timestamptz is null or created_at < %(end)s)
      and (%(before)s::timestamptz is null or (created_at, id) < (%(before)s::timestamptz, %(before_id)s::uuid))
    order by created_at desc, id desc limit %(limit)s)) event
 order by created_at desc, id desc limit %(limit)s;

-- name: one
-- An event of either log. Its id holds the moment when it was made, which bounds what is looked at.
select 'admin' as log, org_id, created_at, id, seq, kind, null::uuid as key_id, null as subject, actor, source_ip, detail, leaf_hash
  from vis.admin_events where org_id = %(org_id)s and created_at >= %(since)s and created_at < %(until)s and id = %(id)s
union all
select 'keys', org_id, created_at, id, seq, kind, key_id, subject, actor, null, detail, leaf_hash
  from vis.key_events where org_id = %(org_id)s and created_at >= %(since)s and created_at < %(until)s and id = %(id)s;
