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

-- name: key_names
-- What keys are called where people read: the part of their text that may be shown, and their agent.
select k.id, k.shown, a.sub from vis_control.virtual_key k join vis_control.agent_identity a on a.id = k.agent_id
 where k.org_id = %(org_id)s and k.id::text = any(%(ids)s);

-- name: live_keys
-- Every key that works at this moment, the newest first: whose it is, the level that it was made with, and the floor over it.
select k.id, k.shown, a.sub as agent_sub, a.owner, a.person_id is not null as has_person, coalesce(j.key, '') as project,
       k.level, greatest(o.level_floor, coalesce(j.level_floor, 0)) as floor, coalesce(k.rotated_at, k.issued_at) as since, k.expires_at
  from vis_control.virtual_key k
  join vis_control.organisation o on o.id = k.org_id
  join vis_control.agent_identity a on a.id = k.agent_id
  left join vis_control.person p on p.id = a.person_id
  left join vis_control.project j on j.id = k.project_id
 where k.org_id = %(org_id)s and k.revoked_at is null and k.expires_at > %(now)s
   and k.org_epoch >= o.epoch and k.person_epoch >= coalesce(p.epoch, k.person_epoch)
 order by k.issued_at desc;
