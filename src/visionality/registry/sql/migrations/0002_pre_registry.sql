-- The control tables as the data plane reads them: grants, row security, revision triggers, versioned views.
--
-- Why: the planes meet in SQL only (docs/adr/0002). A view is a contract: it gets columns added, never changed; a
-- change of meaning is a new number. What it locks: the control tables, just made. Old code: there is none (pre).

-- Every change of a control table moves its organisation's revision, whoever makes it.
create function vis_control.moved() returns trigger language plpgsql set search_path = pg_catalog as $$
declare orgs uuid[];
begin
  if tg_table_name = 'organisation' then
    orgs := case tg_op when 'INSERT' then array[new.id] when 'DELETE' then array[old.id] else array[old.id, new.id] end;
  else
    orgs := case tg_op when 'INSERT' then array[new.org_id] when 'DELETE' then array[old.org_id] else array[old.org_id, new.org_id] end;
  end if;
  insert into vis.org_revisions as r (org_id, revision) select distinct org, 1 from unnest(orgs) org
    on conflict (org_id) do update set revision = r.revision + 1;
  return null;
end $$;

-- An empty installation has one organisation; made here, before row security leaves the owner outside.
with made as (
  insert into vis_control.organisation (id, slug, name, created_at)
  values (gen_random_uuid(), 'default', 'Default organisation', now()) returning id)
insert into vis.org_revisions (org_id, revision) select id, 1 from made;

do $$ declare t text; key text; begin
  foreach t in array array['organisation','person','end_customer','team','project','agent_identity',
                           'organisation_key','provider_credential','price_override','virtual_key'] loop
    key := case when t = 'organisation' then 'id' else 'org_id' end;
    execute format('create trigger moved after insert or update or delete on vis_control.%I for each row execute function vis_control.moved()', t);
    execute format('alter table vis_control.%I enable row level security', t);
    execute format('alter table vis_control.%I force row level security', t);
    execute format('create policy web_all on vis_control.%1$I to vis_web using (%2$I = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t, key);
    execute format('create policy jobs_all on vis_control.%I to vis_jobs using (true)', t);
    execute format('create policy views_read on vis_control.%I for select to vis_owner using (true)', t);
    execute format('grant select, insert on vis_control.%I to vis_web, vis_jobs', t);
    if t not in ('organisation_key', 'price_override') then                -- these two only ever grow
      execute format('grant update, delete on vis_control.%I to vis_web, vis_jobs', t);
    end if;
  end loop;
end $$;
-- The control plane serves every organisation and must find the one that a request is for.
create policy web_find on vis_control.organisation for select to vis_web using (true);
grant select, insert, update, delete on vis_control.login_link, vis_control.django_session to vis_web;
grant select on vis_control.django_migrations to vis_web, vis_jobs;
grant usage on schema vis_control to vis_web, vis_jobs;

create view vis.schema_migrations_v1 as select app || '.' || name as migration from vis_control.django_migrations;
create view vis.orgs_v1 as select id as org_id, slug, name from vis_control.organisation;

create view vis.keys_v1 as
select k.org_id, k.id as key_id, k.handle_hmac, k.expires_at, k.revoked_at,
       a.sub as agent_sub, a.owner as agent_owner, p.sso_sub, t.key as team_id, nullif(t.cost_center, '') as cost_center,
       j.key as project_id, nullif(j.gl_code, '') as gl_code, coalesce(c.key, jc.key) as customer_id,
       nullif(k.task_id, '') as task_id, nullif(k.task_class, '') as task_class,
       nullif(k.memo, '') as memo, nullif(k.url, '') as url
  from vis_control.virtual_key k
  join vis_control.agent_identity a on a.id = k.agent_id and a.org_id = k.org_id
  left join vis_control.person p on p.id = a.person_id and p.org_id = k.org_id
  left join vis_control.team t on t.id = a.team_id and t.org_id = k.org_id
  left join vis_control.project j on j.id = k.project_id and j.org_id = k.org_id
  left join vis_control.end_customer jc on jc.id = j.customer_id and jc.org_id = k.org_id
  left join vis_control.end_customer c on c.id = k.customer_id and c.org_id = k.org_id;

create view vis.providers_v1 as
select v.org_id, v.id as credential_id, v.provider, v.base_url, v.on_abort, v.sealed, o.generation, o.wrapped, o.id as kek_id
  from vis_control.provider_credential v
  join vis_control.organisation_key o on o.id = v.organisation_key_id and o.org_id = v.org_id
 where v.retired_at is null;

create view vis.prices_v1 as
select org_id, version, provider, model, rates, effective_from, source from vis_control.price_override;

grant select on vis.schema_migrations_v1 to vis_writer, vis_web, vis_jobs, vis_reader, vis_auditor, vis_sealer;
grant select on vis.orgs_v1 to vis_writer, vis_web, vis_jobs, vis_auditor;
grant select on vis.keys_v1, vis.providers_v1, vis.prices_v1 to vis_writer;
