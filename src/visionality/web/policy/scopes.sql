-- What a scope may name of the keys. Run as vis_web under row security.

-- name: key
select 1 from vis_control.virtual_key where org_id = %(org_id)s and id = %(value)s::uuid;

-- name: task_class
-- A call whose key has none is `chat`.
select 1 where %(value)s = 'chat'
union all
(select 1 from vis_control.virtual_key where org_id = %(org_id)s and task_class = %(value)s limit 1);
