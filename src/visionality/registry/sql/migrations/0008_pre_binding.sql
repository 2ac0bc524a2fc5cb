-- Levels, second factors, signing keys and revocations as the data plane reads them.
--
-- Why: a gateway checks tokens, proofs and floors before a call leaves (K1, K2, K4, K7). What it locks: the control tables
-- just made, and two views, which get columns at their end, for a moment. Old code: reads the columns that it knows.

do $$ declare t text; begin
  foreach t in array array['service','binding_key','signing_key','revoked_token','floor_request'] loop
    execute format('create trigger moved after insert or update or delete on vis_control.%I for each row execute function vis_control.moved()', t);
    execute format('alter table vis_control.%I enable row level security', t);
    execute format('alter table vis_control.%I force row level security', t);
    execute format('create policy web_all on vis_control.%I to vis_web using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('create policy jobs_all on vis_control.%I to vis_jobs using (true)', t);
    execute format('create policy views_read on vis_control.%I for select to vis_owner using (true)', t);
    execute format('grant select, insert on vis_control.%I to vis_web, vis_jobs', t);
    if t not in ('service', 'revoked_token') then                          -- these two only ever grow
      execute format('grant update, delete on vis_control.%I to vis_web, vis_jobs', t);
    end if;
  end loop;
end $$;

create or replace view vis.orgs_v1 as
select id as org_id, slug, name, time_zone, level_floor, epoch from vis_control.organisation;

create or replace view vis.keys_v1 as
select k.org_id, k.id as key_id, k.handle_hmac, k.expires_at, k.revoked_at,
       a.sub as agent_sub, a.owner as agent_owner, p.sso_sub, t.key as team_id, nullif(t.cost_center, '') as cost_center,
       j.key as project_id, nullif(j.gl_code, '') as gl_code, coalesce(c.key, jc.key) as customer_id,
       nullif(k.task_id, '') as task_id, nullif(k.task_class, '') as task_class,
       nullif(k.memo, '') as memo, nullif(k.url, '') as url, nullif(j.passthrough, '{}') as passthrough,
       coalesce(nullif(j.business_unit, ''), nullif(t.business_unit, '')) as business_unit,
       k.previous_hmac, k.previous_until, k.rotation, k.level,
       array(select jsonb_array_elements_text(k.scopes)) as scopes,
       array(select jsonb_array_elements_text(k.model_globs)) as models,
       array(select jsonb_array_elements_text(k.providers)) as providers,
       array(select jsonb_array_elements_text(k.networks)) as networks,
       array(select jsonb_array_elements_text(k.callers)) as callers,
       k.service_id, k.org_epoch, k.person_epoch, coalesce(p.epoch, 1) as person_epoch_now
  from vis_control.virtual_key k
  join vis_control.agent_identity a on a.id = k.agent_id and a.org_id = k.org_id
  left join vis_control.person p on p.id = a.person_id and p.org_id = k.org_id
  left join vis_control.team t on t.id = a.team_id and t.org_id = k.org_id
  left join vis_control.project j on j.id = k.project_id and j.org_id = k.org_id
  left join vis_control.end_customer jc on jc.id = j.customer_id and jc.org_id = k.org_id
  left join vis_control.end_customer c on c.id = k.customer_id and c.org_id = k.org_id;

create view vis.projects_v1 as
select j.org_id, j.key as project_id, c.key as customer_id, nullif(j.gl_code, '') as gl_code,
       nullif(j.business_unit, '') as business_unit, nullif(j.passthrough, '{}') as passthrough, j.level_floor
  from vis_control.project j
  left join vis_control.end_customer c on c.id = j.customer_id and c.org_id = j.org_id;

create view vis.customers_v1 as select org_id, key as customer_id from vis_control.end_customer;

-- The reader says by its clock which still prove something; one that was revoked is shown for a day more.
create view vis.binding_keys_v1 as
select b.org_id, b.id as binding_key_id, b.service_id, b.thumbprint, b.sealed, o.id as kek_id, o.generation, o.wrapped,
       b.retires_at, b.revoked_at
  from vis_control.binding_key b
  join vis_control.organisation_key o on o.id = b.organisation_key_id and o.org_id = b.org_id
 where b.revoked_at is null or b.revoked_at > now() - interval '1 day';

create view vis.signing_keys_v1 as
select s.org_id, s.id as signing_key_id, s.public, s.sealed, o.id as kek_id, o.generation, o.wrapped,
       s.active_from, s.active_until, s.verify_until, s.revoked_at
  from vis_control.signing_key s
  join vis_control.organisation_key o on o.id = s.organisation_key_id and o.org_id = s.org_id;

-- A token that has expired needs no list; an hour more, since clocks differ.
create view vis.revoked_tokens_v1 as
select org_id, jti, until from vis_control.revoked_token where until > now() - interval '1 hour';

grant select on vis.projects_v1, vis.customers_v1, vis.binding_keys_v1, vis.signing_keys_v1, vis.revoked_tokens_v1 to vis_writer;
