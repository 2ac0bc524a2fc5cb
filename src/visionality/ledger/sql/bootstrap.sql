-- Once per cluster, as a superuser or a role that may create roles. Safe to run again.
-- Roles are made here, by SQL, and never in a provider's console: some consoles hand out BYPASSRLS.
-- name: existing
select rolname::text from pg_roles where rolname = any(%(roles)s) order by 1;

-- name: may_read_verifiers
select has_table_privilege('pg_catalog.pg_authid', 'SELECT');

-- name: verifiers
select rolname::text, rolpassword from pg_catalog.pg_authid where rolname = any(%(roles)s);

-- name: roles
do $$
declare r text;
begin
  if not exists (select 1 from pg_roles where rolname = 'vis_owner') then create role vis_owner nologin; end if;
  if not exists (select 1 from pg_roles where rolname = 'vis_migrator') then create role vis_migrator login noinherit; end if;
  foreach r in array array['vis_writer','vis_web','vis_jobs','vis_reader','vis_auditor','vis_sealer'] loop
    if not exists (select 1 from pg_roles where rolname = r) then execute format('create role %I login', r); end if;
  end loop;
  if not pg_has_role('vis_migrator', 'vis_owner', 'MEMBER') then grant vis_owner to vis_migrator; end if;
end $$;

-- name: database
do $$
begin
  execute format('revoke temporary, connect on database %I from public', current_database());
  execute format('grant connect on database %I to vis_migrator, vis_writer, vis_web, vis_jobs, vis_reader, vis_auditor, vis_sealer', current_database());
  revoke all on schema public from public;
  if not pg_has_role(current_user, 'vis_owner', 'MEMBER') then execute format('grant vis_owner to %I', current_user); end if;
  create schema if not exists vis authorization vis_owner;
  create schema if not exists vis_control authorization vis_owner;
end $$;
