-- Whether the audit tables still take INSERT and nothing else: read off the catalogue, then tried as each role.
-- Everything read here is visible to an ordinary role. PostgreSQL 15 to 18.

-- name: catalogue
-- One sentence a row for every way round the rule that stands open; no row means that there is none. It asks for
-- roles by name and never for current_user, to whom a superuser's rights would lend a clean answer.
with recursive
law(name, kind, writers) as (values
  ('request_logs',  'p', array['vis_writer']),
  ('budget_events', 'p', array['vis_writer']),
  ('key_events',    'p', array['vis_web', 'vis_jobs', 'vis_writer']),
  ('admin_events',  'p', array['vis_web', 'vis_jobs']),
  ('seals',         'r', array['vis_sealer']),
  ('scope_runs',    'r', array['vis_sealer']),
  ('scope_segments','r', array['vis_sealer']),
  ('evidence_packs','r', array['vis_web'])),
-- A scoped role sees one organisation; the others see all of them, and the two that audit must.
wanted(role, scoped, audits) as (values
  ('vis_writer', false, false), ('vis_web', true, false), ('vis_jobs', false, false),
  ('vis_reader', true, false), ('vis_auditor', false, true), ('vis_sealer', false, true)),
app as materialized (
  select r.*, w.scoped, w.audits from wanted w join pg_roles r on r.rolname = w.role),
plain as materialized (select * from app where not rolsuper),   -- a superuser may do anything: said once, below
tree(rel, root) as (
  select c.oid, c.oid from law join pg_class c on c.relname = law.name and c.relnamespace = to_regnamespace('vis')
  union
  select i.inhrelid, tree.root from pg_inherits i join tree on i.inhparent = tree.rel),
audit as materialized (
  select c.*, c.oid::regclass::text as table_name, t.root, t.root <> c.oid as is_partition, law.kind, law.writers
    from tree t join pg_class c on c.oid = t.rel
    join pg_class top on top.oid = t.root join law on law.name = top.relname),
month as (                                            -- what add_month names a partition
  select c.oid, c.oid::regclass::text as table_name, law.name, to_date(right(c.relname, 6), 'YYYYMM') as first
    from law join pg_class c on c.relname ~ ('^' || law.name || '_20[0-9]{2}(0[1-9]|1[0-2])$')
     and c.relnamespace = to_regnamespace('vis') and c.relkind in ('r', 'p', 'f')),
changes(verb) as (
  select unnest(array['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES']
                || case when current_setting('server_version_num')::int >= 170000 then array['MAINTAIN'] else '{}' end)),
policy as materialized (
  select p.*, a.table_name, a.is_partition,
         pg_get_expr(p.polqual, p.polrelid) as sees, pg_get_expr(p.polwithcheck, p.polrelid) as takes
    from audit a join pg_policy p on p.polrelid = a.oid),
applies as materialized (                             -- role 0 is PUBLIC
  select policy.*, app.rolname as app, app.scoped, app.audits from policy join app
      on 0 = any (polroles) or exists (select from unnest(polroles) r where r <> 0 and pg_has_role(app.oid, r, 'MEMBER'))),
own(scope) as (values ('(org_id = (NULLIF(current_setting(''vis.org_id''::text, true), ''''::text))::uuid)')),
seen_through as (                                     -- views over audit tables, and views over those
  select a.oid from audit a
  union
  select w.ev_class from seen_through s join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = s.oid
    join pg_rewrite w on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid),
view as materialized (
  select c.* from pg_class c where c.relkind in ('v', 'm')
     and (c.relnamespace = to_regnamespace('vis') or c.oid in (select oid from seen_through))),
guard as (
  select p.*, l.lanname from pg_proc p join pg_language l on l.oid = p.prolang
   where p.proname = 'no_change' and p.pronargs = 0 and p.pronamespace = to_regnamespace('vis')),
trigger_law(name, kind, what) as (values
  ('ao_row',   1 | 2 | 8 | 16, 'BEFORE UPDATE OR DELETE FOR EACH ROW'),
  ('ao_trunc', 2 | 32,         'BEFORE TRUNCATE')),
preset as (
  select s.setdatabase, s.setrole, entry from pg_db_role_setting s, unnest(s.setconfig) entry
   where s.setdatabase in (0, (select oid from pg_database where datname = current_database())))

-- the tables themselves
select format('vis.%s is missing', law.name) as finding from law
 where not exists (select from audit where audit.oid = audit.root and audit.relname = law.name)
union all select format('%s is no longer %s', table_name, case kind when 'p' then 'a partitioned table' else 'a plain table' end)
  from audit where not is_partition and relkind <> kind
union all select format('%s holds rows of the ledger but is no ordinary table', table_name)
  from audit where is_partition and relkind not in ('r', 'p')
union all select format('%s is UNLOGGED, so a crash empties it', table_name) from audit where relpersistence <> 'p'
union all select format('%s is not attached to vis.%s', table_name, name) from month
 where not exists (select from pg_inherits where inhrelid = month.oid and not inhdetachpending)
union all select format('vis.%s has no partition for %s, between months that it has', name, to_char(m, 'YYYY-MM'))
  from (select name, generate_series(min(first)::timestamp, max(first)::timestamp, '1 month') as m from month group by name) span
 where not exists (select from month where month.name = span.name and month.first = m)

-- rights on them
union all select format('%s may %s %s', rolname, verb, table_name)
  from audit, plain, changes where has_table_privilege(plain.oid, audit.oid, verb)
union all select format('%s may %s columns of %s', rolname, verb, table_name)
  from audit, plain, unnest(array['UPDATE', 'REFERENCES']) verb
 where has_any_column_privilege(plain.oid, audit.oid, verb) and not has_table_privilege(plain.oid, audit.oid, verb)
union all select format('%s may %s the partition %s directly', rolname, verb, table_name)
  from audit, plain, unnest(array['SELECT', 'INSERT']) verb
 where is_partition and has_any_column_privilege(plain.oid, audit.oid, verb)
union all select format('%s may INSERT into %s, which is written by %s', rolname, table_name, array_to_string(writers, ' and '))
  from audit, plain
 where not is_partition and rolname <> all (writers) and has_any_column_privilege(plain.oid, audit.oid, 'INSERT')
union all select format('PUBLIC may %s %s', acl.privilege_type, table_name)
  from audit, aclexplode(relacl) acl where acl.grantee = 0
union all select format('%s may %s %s', acl.grantee::regrole, acl.privilege_type, table_name)
  from audit, aclexplode(relacl) acl join changes on changes.verb = acl.privilege_type
 where acl.grantee not in (0, relowner) and acl.grantee not in (select oid from app)
union all select format('what %s makes %s is open to %s by default privileges (%s)', d.defaclrole::regrole,
                        coalesce('in schema ' || n.nspname, 'anywhere'),
                        case acl.grantee when 0 then 'PUBLIC' else acl.grantee::regrole::text end, acl.privilege_type)
  from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace, aclexplode(d.defaclacl) acl
 where d.defaclobjtype = 'r' and (n.nspname is null or n.nspname = 'vis')
   and (acl.grantee = 0 or acl.grantee in (select oid from app))

-- roles
union all select format('the role %s is missing', role) from wanted where role not in (select rolname from app)
union all select format('%s is %s', rolname, attribute)
  from app, lateral (values (rolsuper, 'a superuser'), (rolbypassrls, 'above row security (BYPASSRLS)'),
                            (rolcreaterole, 'able to make roles (CREATEROLE)'),
                            (rolcreatedb, 'able to make databases (CREATEDB)'),
                            (rolreplication, 'able to replicate (REPLICATION)')) a(has, attribute) where has
union all select format('%s can become %s, which %s', plain.rolname, r.rolname, why.what)
  from plain join pg_roles r on r.oid <> plain.oid and pg_has_role(plain.oid, r.oid, 'MEMBER'), lateral (
    select 'is a superuser' as what where r.rolsuper
    union all select 'is above row security' where r.rolbypassrls
    union all select 'makes roles' where r.rolcreaterole
    union all select 'is another application role' where r.oid in (select oid from app)
    union all select 'reaches past table rights' where r.rolname in (
      'pg_read_all_data', 'pg_write_all_data', 'pg_maintain', 'pg_read_server_files', 'pg_write_server_files',
      'pg_execute_server_program', 'pg_create_subscription')
    union all select 'owns audit tables' where r.oid in (select relowner from audit)
    union all select 'owns schema vis' where r.oid = (select nspowner from pg_namespace where nspname = 'vis')
    union all select 'owns the database' where r.oid = (select datdba from pg_database where datname = current_database())
    union all select 'may change audit tables' where exists (
      select from audit, changes where has_table_privilege(r.oid, audit.oid, verb))) why
union all select format('%s belongs to %s, an application role', what, rolname)
  from app join (
    select table_name, relowner from audit
    union all select 'schema vis', nspowner from pg_namespace where nspname = 'vis'
    union all select 'the database ' || datname, datdba from pg_database where datname = current_database()
    union all select 'function vis.no_change()', proowner from guard
  ) owned(what, owner) on owner = app.oid
union all select format('%s, who owns audit tables, can log in', rolname)
  from pg_roles where rolcanlogin and oid in (select relowner from audit)

-- what stops a change that rights allow
union all select format('trigger %s on %s is missing, or is not ENABLE ALWAYS %s EXECUTE vis.no_change()', t.name, table_name, t.what)
  from audit, trigger_law t
 where not exists (select from pg_trigger where tgrelid = audit.oid and tgname = t.name and tgenabled = 'A' and tgtype = t.kind
                      and tgqual is null and cardinality(tgattr::int2[]) = 0 and tgfoid = (select oid from guard))
union all select format('trigger %s on %s is not one of ours', tgname, table_name)
  from audit join pg_trigger on tgrelid = audit.oid where not tgisinternal and tgname not in (select name from trigger_law)
union all select 'the body of vis.no_change() is not the one that was installed' from (values (1)) one
 where not exists (
   select from guard where lanname = 'plpgsql' and proconfig = array['search_path=pg_catalog']
      and encode(sha256(convert_to(prosrc, 'UTF8')), 'hex') = '643e7d19bcc4946fb35acb3060af70f929ce4e409e9d0bf85c01eeee76c278ed')
union all select format('rule %s on %s', rulename, table_name) || ' rewrites what is sent to it'
  from audit join pg_rewrite on ev_class = audit.oid
union all select format('foreign key %s ties %s to %s%s', conname, conrelid::regclass, confrelid::regclass,
                        case when 'c' in (confdeltype, confupdtype) or confdeltype in ('n', 'd') or confupdtype in ('n', 'd')
                             then ', with an action that changes rows' else '' end)
  from pg_constraint where contype = 'f' and conparentid = 0
   and (conrelid in (select oid from audit) or confrelid in (select oid from audit))

-- who sees what
union all select format('row security is off or not forced on %s', table_name)
  from audit where not (relrowsecurity and relforcerowsecurity)
union all select format('policy %s on %s is for %s', polname, table_name,
                        case polcmd when '*' then 'ALL' when 'w' then 'UPDATE' else 'DELETE' end)
  from policy where polcmd in ('*', 'w', 'd')
union all select format('policy %s on %s is on a partition, where there is none', polname, table_name)
  from policy where is_partition
union all select format('policy %s on %s hides rows (RESTRICTIVE)', polname, table_name) from policy where not polpermissive
union all select format('policy %s on %s shows %s more than its organisation', polname, table_name, app)
  from applies, own where scoped and polpermissive and polcmd in ('r', '*') and sees is distinct from own.scope
union all select format('policy %s on %s takes rows of any organisation from %s', polname, table_name, app)
  from applies, own where scoped and polpermissive and polcmd in ('a', '*') and takes is distinct from own.scope
union all select format('%s does not see every row of %s', app.rolname, table_name)
  from app, audit where app.audits and not is_partition and not exists (
    select from applies where applies.app = app.rolname and polrelid = audit.oid and polpermissive
       and polcmd in ('r', '*') and sees = 'true')

-- ways round
union all select format('%s may execute %s, which runs as %s', plain.rolname, p.oid::regprocedure, p.proowner::regrole)
  from pg_proc p, plain
 where p.prosecdef and has_function_privilege(plain.oid, p.oid, 'EXECUTE')
   and exists (select from audit where has_table_privilege(p.proowner, audit.oid, 'UPDATE'))
union all select format('%s may %s the view %s', plain.rolname, verb, view.oid::regclass)
  from view, plain, unnest(array['INSERT', 'UPDATE', 'DELETE']) verb 
 where case verb when 'DELETE' then has_table_privilege(plain.oid, view.oid, verb)
                 else has_any_column_privilege(plain.oid, view.oid, verb) end
union all select format('%s may read %s, which shows audit rows with the rights of %s', plain.rolname, view.oid::regclass, relowner::regrole)
  from view, plain
 where view.oid in (select oid from seen_through) and plain.scoped and has_any_column_privilege(plain.oid, view.oid, 'SELECT')
   and (relkind = 'm' or not coalesce(reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false))
union all select format('%s may make temporary tables, which can shadow the ledger', rolname)
  from plain where has_database_privilege(oid, current_database(), 'TEMP')
union all select format('%s may CREATE in the database', rolname)
  from plain where has_database_privilege(oid, current_database(), 'CREATE')
union all select format('%s may CREATE in schema %s', rolname, nspname)
  from pg_namespace n, plain where nspname in ('vis', 'vis_control', 'public') and has_schema_privilege(plain.oid, n.oid, 'CREATE')

-- the server's settings
union all select format('%s may %s %s', rolname, verb, parameter)
  from plain, unnest(array['SET', 'ALTER SYSTEM']) verb, unnest(array['session_replication_role', 'fsync', 'full_page_writes']) parameter
 where has_parameter_privilege(plain.oid, parameter, verb)
union all select format('%s is preset for %s', entry,
                        concat_ws(' in ', case setrole when 0 then 'every role' else setrole::regrole::text end,
                                          case setdatabase when 0 then 'every database' else 'this database' end))
  from preset where entry ~ '^(session_replication_role=|vis\.org_id=|synchronous_commit=(off|false|no|0)$)'
union all select format('%s is %s', name, setting) from pg_settings
 where (name = 'session_replication_role' and setting <> 'origin')
    or (name in ('fsync', 'full_page_writes', 'synchronous_commit') and setting = 'off');

-- name: probe
-- Tries, as whoever is connected, every change on each audit table and on its newest partition, and leaves what was
-- not refused in the setting vis.probe. An attempt that succeeds is undone at once. A refusal must come from a
-- missing right: the triggers answer with the same code, and they are the second line, not the first.
do $$
declare target text; attempt text; code text; words text; place text; found text[] := '{}';
begin
  for target in
    select format('%I.%I', 'vis', name)
      from unnest(array['request_logs', 'budget_events', 'key_events', 'admin_events', 'seals', 'scope_runs', 'scope_segments', 'evidence_packs']) law
      join pg_class top on top.relname = law and top.relnamespace = to_regnamespace('vis'), lateral (
        select law as name
        union all
        (select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid and c.relnamespace = top.relnamespace
          where i.inhparent = top.oid order by c.relname desc limit 1)) x
    union all select null
  loop
    foreach attempt in array case when target is null then array['CREATE TEMP TABLE vis_probe ()']
        else array['UPDATE %s SET org_id = org_id WHERE false', 'DELETE FROM %s WHERE false', 'TRUNCATE %s'] end loop
      begin
        execute format(attempt, target);
        raise 'was not refused' using errcode = 'VP001';
      exception when others then
        get stacked diagnostics code = returned_sqlstate, words = message_text, place = pg_exception_context;
        if code <> '42501' then
          found := found || format('%s: %s %s', current_user, format(attempt, target),
                                   case code when 'VP001' then words else format('failed with %s (%s), not for want of a right', code, words) end);
        elsif place like '%vis.no_change()%' then
          found := found || format('%s: %s was refused by a trigger only', current_user, format(attempt, target));
        end if;
      end;
    end loop;
  end loop;
  perform set_config('vis.probe', to_json(found)::text, true);
end $$;

-- name: probed
select session_user::text, current_user::text, current_setting('vis.probe')::json;
