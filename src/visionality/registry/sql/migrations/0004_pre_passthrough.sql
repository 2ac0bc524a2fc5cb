-- The providers to which a project's keys may pass calls without a meter reach the gateway.
--
-- Why: such calls are refused unless an operator opened them. The view gets a column at its end, as views may.
-- What it locks: the view, for a moment. Old code: reads the columns that it knows.

create or replace view vis.keys_v1 as
select k.org_id, k.id as key_id, k.handle_hmac, k.expires_at, k.revoked_at,
       a.sub as agent_sub, a.owner as agent_owner, p.sso_sub, t.key as team_id, nullif(t.cost_center, '') as cost_center,
       j.key as project_id, nullif(j.gl_code, '') as gl_code, coalesce(c.key, jc.key) as customer_id,
       nullif(k.task_id, '') as task_id, nullif(k.task_class, '') as task_class,
       nullif(k.memo, '') as memo, nullif(k.url, '') as url, nullif(j.passthrough, '{}') as passthrough
  from vis_control.virtual_key k
  join vis_control.agent_identity a on a.id = k.agent_id and a.org_id = k.org_id
  left join vis_control.person p on p.id = a.person_id and p.org_id = k.org_id
  left join vis_control.team t on t.id = a.team_id and t.org_id = k.org_id
  left join vis_control.project j on j.id = k.project_id and j.org_id = k.org_id
  left join vis_control.end_customer jc on jc.id = j.customer_id and jc.org_id = k.org_id
  left join vis_control.end_customer c on c.id = k.customer_id and c.org_id = k.org_id;
