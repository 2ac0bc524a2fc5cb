-- Who holds keys, for psycopg. Run as vis_web under row security.

-- name: page
-- Counts of all people and keys, and so many people by subject, from one on, each with what they hold; counts alone where there
-- is nobody. A key is idle when it lives, is older than that, and was not used since.
with keys as materialized (
  select k.id, k.agent_id, a.person_id, k.expires_at, k.project_id, k.projects, k.model_globs, l.is_live,
         l.is_live and k.issued_at < %(idle_since)s and k.id <> all (%(used)s::uuid[]) as is_idle
    from vis_control.virtual_key k
    join vis_control.agent_identity a on a.id = k.agent_id and a.org_id = k.org_id
    join vis_control.organisation o on o.id = k.org_id
    left join vis_control.person p on p.id = a.person_id and p.org_id = k.org_id
   cross join lateral (
     select k.revoked_at is null and k.expires_at > %(now)s and k.org_epoch >= o.epoch
            and k.person_epoch >= coalesce(p.epoch, 1) as is_live) l
   where k.org_id = %(org_id)s),
gone as (
  select key_id as person_id, max(created_at) as left_at from vis.key_events
   where org_id = %(org_id)s and created_at >= %(idle_since)s and kind = 'person_revoked' group by 1),
whole as (
  select (select count(*) from vis_control.person where org_id = %(org_id)s) as people,
         count(distinct person_id) filter (where is_live) as with_access,
         count(*) filter (where is_live) as live_keys,
         count(*) filter (where is_live and person_id is null) as of_nobody,
         count(*) filter (where is_live and expires_at < %(soon)s) as expiring,
         count(*) filter (where is_idle) as idle,
         (select count(*) from gone) as leavers
    from keys),
held as (
  select person_id, count(*) filter (where is_live) as live, count(*) filter (where is_idle) as unused,
         min(expires_at) filter (where is_live) as ends_at
    from keys group by 1),
shown as (
  select p.id, p.sso_sub, p.name, coalesce(h.live, 0) as live, h.ends_at, g.left_at
    from vis_control.person p
    left join held h on h.person_id = p.id
    left join gone g on g.person_id = p.id
   where p.org_id = %(org_id)s and p.sso_sub > %(after)s
     and (strpos(lower(p.sso_sub), lower(%(search)s)) > 0 or strpos(lower(p.name), lower(%(search)s)) > 0)
     and case %(only)s when 'with' then h.live > 0 when 'without' then coalesce(h.live, 0) = 0
                       when 'unused' then h.live > 0 and h.unused = h.live
                       when 'leavers' then g.left_at is not null else true end
   order by p.sso_sub limit %(limit)s),
agents as (
  select a.person_id,
         jsonb_agg(jsonb_build_object('sub', a.sub, 'team', t.key, 'is_live', k.id is not null, 'project', j.key,
                                      'claims', k.projects, 'models', k.model_globs)) as agents
    from vis_control.agent_identity a
    join shown on shown.id = a.person_id
    left join keys k on k.agent_id = a.id and k.is_live
    left join vis_control.project j on j.id = k.project_id
    left join lateral (
      select d.team_id, true as is_said from vis_control.agent_identity_period d
       where d.org_id = a.org_id and d.agent_id = a.id and d.valid_from <= %(now)s
       order by valid_from desc, made_at desc, id desc limit 1) d on true
    left join vis_control.team t on t.org_id = a.org_id and t.id = case when d.is_said then d.team_id else a.team_id end
   where a.org_id = %(org_id)s group by 1)
select whole.*, shown.*, coalesce(agents.agents, '[]') as agents
  from whole left join shown on true left join agents on agents.person_id = shown.id order by shown.sso_sub;

-- name: person
-- A person, by agent, each with its team as it is now; once without where they have none.
select p.id, p.sso_sub, p.name, o.name as organisation, a.sub, t.key as team
  from vis_control.person p
  join vis_control.organisation o on o.id = p.org_id
  left join vis_control.agent_identity a on a.person_id = p.id and a.org_id = p.org_id
  left join lateral (
    select d.team_id, true as is_said from vis_control.agent_identity_period d
     where d.org_id = a.org_id and d.agent_id = a.id and d.valid_from <= %(now)s
     order by valid_from desc, made_at desc, id desc limit 1) d on true
  left join vis_control.team t on t.org_id = a.org_id and t.id = case when d.is_said then d.team_id else a.team_id end
 where p.org_id = %(org_id)s and p.id = %(person_id)s order by a.sub;

-- name: leavers
-- Whose access was ended in a range, the last time each; the newest first.
select * from (
  select distinct on (e.key_id) p.id, p.sso_sub, p.name, e.created_at as ended_at, e.actor, coalesce(e.detail ->> 'reason', '') as reason
    from vis.key_events e
    join vis_control.person p on p.id = e.key_id and p.org_id = e.org_id
   where e.org_id = %(org_id)s and e.created_at >= %(start)s and e.created_at < %(end)s and e.kind = 'person_revoked'
   order by e.key_id, e.created_at desc) last
 order by ended_at desc, id limit %(limit)s;

-- name: steps
-- What was done with some keys, people or the organisation since a moment, the newest first.
select created_at, kind, key_id, subject, actor, detail from vis.key_events
 where org_id = %(org_id)s and key_id = any (%(ids)s::uuid[]) and created_at >= %(since)s
 order by created_at desc, seq desc limit %(limit)s;
