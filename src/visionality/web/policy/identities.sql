-- What the identity table must know of an agent's keys. Run as vis_web under row security.

-- name: has_live_key
select exists (
  select from vis_control.virtual_key k
    join vis_control.agent_identity a on a.id = k.agent_id and a.org_id = k.org_id
    join vis_control.organisation o on o.id = k.org_id
    left join vis_control.person p on p.id = a.person_id and p.org_id = k.org_id
   where k.org_id = %(org_id)s and a.sub = %(sub)s and k.revoked_at is null and k.expires_at > %(now)s
     and k.org_epoch >= o.epoch and k.person_epoch >= coalesce(p.epoch, 1));

-- name: end_keys
-- Keys that ended with their person would live again under another one.
update vis_control.virtual_key k set revoked_at = %(now)s from vis_control.agent_identity a
 where a.id = k.agent_id and a.org_id = k.org_id and k.org_id = %(org_id)s and a.sub = %(sub)s and k.revoked_at is null;
