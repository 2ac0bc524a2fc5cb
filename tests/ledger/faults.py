"""Every way round the append-only rule that `vis check` must see, as what plants it and what is then said."""

from dataclasses import dataclass

TABLES = (
    "request_logs",
    "budget_events",
    "key_events",
    "admin_events",
    "seals",
    "scope_runs",
    "scope_segments",
    "evidence_packs",
)
ROLES = ("vis_writer", "vis_web", "vis_jobs", "vis_reader", "vis_auditor", "vis_sealer")


@dataclass(frozen=True)
class Fault:
    """`plant` runs as the superuser; `month` in it is this month's suffix.

    `says` must be among the findings; no finding may be about anything but `about`. What cannot be undone is planted
    in a database of its own; what belongs to the whole server must be undone. `since` is the first PostgreSQL on
    which it can be planted.
    """

    name: str
    plant: str
    says: str
    about: str = ""
    undo: str = ""
    since: int = 15

    def __str__(self) -> str:
        return self.name

    @property
    def remedy(self) -> str:
        """What takes the fault away again, or nothing: a single grant or policy is its own opposite."""
        if self.undo or "; " in self.plant:
            return self.undo
        if self.plant.startswith("grant "):
            return self.plant.replace("grant ", "revoke ").replace(" to ", " from ")
        if self.plant.startswith("create policy x on "):
            return " ".join(["drop", *self.plant.split()[1:5]])
        return ""


def _tables() -> list[Fault]:
    remade = "alter table vis.key_events rename to gone; create table vis.key_events (like vis.gone including all); alter table vis.key_events owner to vis_owner"
    wrapped = "create foreign data wrapper w; create server s foreign data wrapper w"
    pending = "set allow_system_table_mods = on; update pg_inherits set inhdetachpending = true where inhrelid = 'vis.key_events_{month}'::regclass"
    return [
        Fault("a table is gone", "drop table vis.seals", "vis.seals is missing"),
        Fault(
            "a table is not partitioned any more",
            remade,
            "vis.key_events is no longer a partitioned table",
            about="key_events",
        ),
        Fault(
            "a foreign table under one of ours",
            f"{wrapped}; create foreign table vis.far () inherits (vis.seals) server s; alter table vis.far owner to vis_owner",
            "vis.far holds rows of the ledger but is no ordinary table",
            about="vis.far|has no handler",
        ),
        Fault(
            "an unlogged partition",
            "alter table vis.request_logs_{month} set unlogged",
            "vis.request_logs_{month} is UNLOGGED",
            undo="alter table vis.request_logs_{month} set logged",
        ),
        Fault(
            "a detached partition",
            "alter table vis.request_logs detach partition vis.request_logs_{month}",
            "vis.request_logs_{month} is not attached to vis.request_logs",
        ),
        Fault(
            "a partition halfway detached",
            pending,
            "vis.key_events_{month} is not attached to vis.key_events",
        ),
        Fault(
            "a month dropped from the middle",
            "drop table vis.admin_events_{next}",
            "vis.admin_events has no partition for {next_words}",
        ),
    ]


def _rights() -> list[Fault]:
    verbs = [
        ("UPDATE", 15),
        ("DELETE", 15),
        ("TRUNCATE", 15),
        ("TRIGGER", 15),
        ("REFERENCES", 15),
        ("MAINTAIN", 17),
    ]
    return [
        *(Fault(f"{verb} on a table", f"grant {verb} on vis.budget_events to vis_writer", f"vis_writer may {verb} vis.budget_events", about="vis_writer", since=since) for verb, since in verbs),
        *(Fault(f"{verb} on a partition", f"grant {verb} on vis.key_events_{{month}} to vis_web", f"vis_web may {verb} vis.key_events_{{month}}", since=since) for verb, since in verbs),
        *(Fault(f"UPDATE on {table}", f"grant update on vis.{table} to vis_sealer", f"vis_sealer may UPDATE vis.{table}", about="vis_sealer") for table in TABLES),
        *(Fault(f"DELETE for {role}", f"grant delete on vis.request_logs to {role}", f"{role} may DELETE vis.request_logs", about=role) for role in ROLES),
        Fault("UPDATE of a column", "grant update (memo) on vis.request_logs to vis_writer", "vis_writer may UPDATE columns of vis.request_logs"),
        Fault("UPDATE of a partition's column", "grant update (memo) on vis.request_logs_{month} to vis_writer", "vis_writer may UPDATE columns of vis.request_logs_{month}"),
        Fault("REFERENCES to a column", "grant references (id) on vis.request_logs to vis_jobs", "vis_jobs may REFERENCES columns of vis.request_logs"),
        Fault("SELECT on a partition", "grant select on vis.request_logs_{month} to vis_reader", "vis_reader may SELECT the partition vis.request_logs_{month} directly"),
        Fault("SELECT on a partition's column", "grant select (memo) on vis.request_logs_{month} to vis_reader", "vis_reader may SELECT the partition vis.request_logs_{month} directly"),
        Fault("INSERT on a partition", "grant insert on vis.request_logs_{month} to vis_writer", "vis_writer may INSERT the partition vis.request_logs_{month} directly"),
        Fault("INSERT by a role that does not write the table", "grant insert on vis.request_logs to vis_web", "vis_web may INSERT into vis.request_logs, which is written by vis_writer"),
        Fault("SELECT for everybody", "grant select on vis.seals to public", "PUBLIC may SELECT vis.seals"),
        Fault("DELETE for everybody", "grant delete on vis.seals to public", "PUBLIC may DELETE vis.seals", about="vis.seals"),
        Fault("UPDATE for a role that is not ours", "create role stranger; grant update on vis.seals to stranger", "stranger may UPDATE vis.seals", undo="drop owned by stranger; drop role stranger"),
        Fault("default privileges in the schema", "alter default privileges for role vis_owner in schema vis grant update on tables to vis_web", "what vis_owner makes in schema vis is open to vis_web by default privileges (UPDATE)", undo="alter default privileges for role vis_owner in schema vis revoke update on tables from vis_web"),
        Fault("default privileges anywhere", "alter default privileges for role vis_owner grant delete on tables to vis_jobs", "what vis_owner makes anywhere is open to vis_jobs by default privileges (DELETE)", undo="alter default privileges for role vis_owner revoke delete on tables from vis_jobs"),
        Fault("default privileges for everybody", "alter default privileges for role vis_owner in schema vis grant truncate on tables to public", "is open to PUBLIC by default privileges (TRUNCATE)", undo="alter default privileges for role vis_owner in schema vis revoke truncate on tables from public"),
    ]  # fmt: skip


def _roles() -> list[Fault]:
    attributes = {
        "superuser": "a superuser",
        "bypassrls": "above row security",
        "createrole": "able to make roles",
        "createdb": "able to make databases",
        "replication": "able to replicate",
    }
    predefined = [
        ("pg_write_all_data", 15),
        ("pg_read_all_data", 15),
        ("pg_read_server_files", 15),
        ("pg_write_server_files", 15),
        ("pg_execute_server_program", 15),
        ("pg_create_subscription", 16),
        ("pg_maintain", 17),
    ]
    return [
        *(Fault(f"an application role with {word}", f"alter role vis_web {word}", f"vis_web is {meaning}", about="vis_web", undo=f"alter role vis_web no{word}") for word, meaning in attributes.items()),
        *(Fault(f"a member of {role}", f"grant {role} to vis_jobs", f"vis_jobs can become {role}, which reaches past table rights", about="vis_jobs", undo=f"revoke {role} from vis_jobs", since=since) for role, since in predefined),
        Fault("a member of the owner", "grant vis_owner to vis_writer", "vis_writer can become vis_owner, which owns audit tables", about="vis_writer", undo="revoke vis_owner from vis_writer"),
        Fault("a member of the owner that does not inherit", "grant vis_owner to vis_writer with inherit false", "vis_writer can become vis_owner, which owns audit tables", about="vis_writer can become vis_owner", undo="revoke vis_owner from vis_writer", since=16),
        Fault("a member of the owner that may only pass it on", "grant vis_owner to vis_writer with admin true, inherit false, set false", "vis_writer can become vis_owner, which owns audit tables", about="vis_writer can become vis_owner", undo="revoke vis_owner from vis_writer", since=16),
        Fault("a member of the migrator", "grant vis_migrator to vis_web", "vis_web can become vis_owner, which may change audit tables", about="vis_web", undo="revoke vis_migrator from vis_web"),
        Fault("a member of another application role", "grant vis_jobs to vis_web", "vis_web can become vis_jobs, which is another application role", about="vis_web", undo="revoke vis_jobs from vis_web"),
        Fault("a member of a superuser", "create role boss superuser; grant boss to vis_web", "vis_web can become boss, which is a superuser", about="vis_web", undo="drop role boss"),
        Fault("a member of a role above row security", "create role boss bypassrls; grant boss to vis_web", "vis_web can become boss, which is above row security", undo="drop role boss"),
        Fault("a member of a role that makes roles", "create role boss createrole; grant boss to vis_web", "vis_web can become boss, which makes roles", undo="drop role boss"),
        Fault("a member of the schema's owner", "create role boss; alter schema vis owner to boss; grant boss to vis_web", "vis_web can become boss, which owns schema vis", about="vis_web", undo="alter schema vis owner to vis_owner; drop role boss"),
        Fault("a member of the database's owner", "create role boss; alter database {name} owner to boss; grant boss to vis_web", "vis_web can become boss, which owns the database", about="vis_web", undo="alter database {name} owner to vis_owner; drop role boss"),
        Fault("a table owned by an application role", "alter table vis.seals owner to vis_sealer", "vis.seals belongs to vis_sealer, an application role", about="vis_sealer", undo="alter table vis.seals owner to vis_owner; grant insert on vis.seals to vis_sealer"),
        Fault("the schema owned by an application role", "alter schema vis owner to vis_web", "schema vis belongs to vis_web, an application role", about="vis_web", undo="alter schema vis owner to vis_owner; grant usage on schema vis to vis_web"),
        Fault("the database owned by an application role", "alter database {name} owner to vis_web", "belongs to vis_web, an application role", about="vis_web"),
        Fault("the guard owned by an application role", "alter function vis.no_change() owner to vis_jobs", "function vis.no_change() belongs to vis_jobs, an application role", undo="alter function vis.no_change() owner to vis_owner"),
        Fault("an owner that can log in", "alter role vis_owner login", "vis_owner, who owns audit tables, can log in", undo="alter role vis_owner nologin"),
        Fault("a role that is missing", "alter role vis_reader rename to vis_gone", "the role vis_reader is missing", about="vis_reader", undo="alter role vis_gone rename to vis_reader"),
        Fault("a role that cannot log in", "alter role vis_jobs nologin", "vis_jobs cannot log in, so nothing was tried as this role", undo="alter role vis_jobs login"),
        Fault("an auditor that cannot log in", "alter role vis_auditor nologin", "vis_auditor cannot log in, so nothing was tried as this role", undo="alter role vis_auditor login"),
    ]  # fmt: skip


def _guards() -> list[Fault]:
    table, part = "vis.budget_events", "vis.budget_events_{month}"
    row = "trigger ao_row on {} is missing, or is not ENABLE ALWAYS"
    trunc = "trigger ao_trunc on {} is missing, or is not ENABLE ALWAYS"
    remade = "drop trigger ao_row on vis.seals; create trigger ao_row {}; alter table vis.seals enable always trigger ao_row"
    tame = "create function vis.tame() returns trigger language plpgsql as 'begin return new; end'; revoke all on function vis.tame() from public"
    body = "create or replace function vis.no_change() returns trigger language plpgsql {} as 'begin return new; end'"
    return [
        Fault("a row trigger is disabled", f"alter table only {table} disable trigger ao_row", row.format(table), about="ao_row", undo=f"alter table only {table} enable always trigger ao_row"),
        Fault("a partition's row trigger is disabled", f"alter table {part} disable trigger ao_row", row.format(part), undo=f"alter table {part} enable always trigger ao_row"),
        Fault("a partition's truncate trigger is dropped", f"drop trigger ao_trunc on {part}", trunc.format(part), undo=f"select vis.arm('{part}')"),
        Fault("a trigger is silent for replicas", f"alter table {part} enable trigger ao_trunc", trunc.format(part), undo=f"alter table {part} enable always trigger ao_trunc"),
        Fault("a trigger is for replicas only", f"alter table {part} enable replica trigger ao_row", row.format(part), undo=f"alter table {part} enable always trigger ao_row"),
        Fault("a partition that was never armed", "set role vis_owner; create table vis.budget_events_209901 partition of vis.budget_events for values from ('2099-01-01') to ('2099-02-01')", trunc.format("vis.budget_events_209901"), about="budget_events"),
        Fault("a trigger that waits for a condition", remade.format("before update or delete on vis.seals for each row when (old.seal_no > 9) execute function vis.no_change()"), row.format("vis.seals")),
        Fault("a trigger for some columns", remade.format("before delete or update of root on vis.seals for each row execute function vis.no_change()"), row.format("vis.seals")),
        Fault("a trigger that forgets deletions", remade.format("before update on vis.seals for each row execute function vis.no_change()"), row.format("vis.seals")),
        Fault("a trigger that comes too late", remade.format("after update or delete on vis.seals for each row execute function vis.no_change()"), row.format("vis.seals")),
        Fault("a trigger that calls something else", f"{tame}; " + remade.format("before update or delete on vis.seals for each row execute function vis.tame()"), row.format("vis.seals")),
        Fault("a trigger that is not ours", f"{tame}; create trigger zz before insert on vis.seals for each row execute function vis.tame()", "trigger zz on vis.seals is not one of ours", undo="drop trigger zz on vis.seals; drop function vis.tame()"),
        Fault("the guard's body is replaced", body.format("set search_path = pg_catalog"), "the body of vis.no_change() is not the one that was installed"),
        Fault("the guard's search path is taken away", "alter function vis.no_change() reset all", "the body of vis.no_change() is not the one that was installed"),
        Fault("a rule on a table", "create rule quiet as on update to vis.seals do instead nothing", "rule quiet on vis.seals rewrites what is sent to it", about="seals", undo="drop rule quiet on vis.seals"),
        Fault("a rule on a partition", f"create rule quiet as on insert to {part} do instead nothing", f"rule quiet on {part} rewrites what is sent to it", undo=f"drop rule quiet on {part}"),
        *(
            Fault(f"a foreign key that may {action}", f"create table public.o (id uuid primary key); alter table vis.seals add constraint f foreign key (org_id) references public.o {action}", "foreign key f ties vis.seals to public.o, with an action that changes rows", undo="drop table public.o cascade")
            for action in ("on delete cascade", "on delete set null", "on delete set default", "on update cascade", "on update set null")
        ),
        Fault("a foreign key out of a partition", f"create table public.o (id uuid primary key); alter table {part} add constraint f foreign key (hold_id) references public.o", f"foreign key f ties {part} to public.o", undo="drop table public.o cascade"),
        Fault("a foreign key into a table", "create table public.o (a uuid, b text, c bigint, constraint f foreign key (a, b, c) references vis.seals)", "foreign key f ties public.o to vis.seals", undo="drop table public.o"),
    ]  # fmt: skip


def _sight() -> list[Fault]:
    scope = "org_id = nullif(current_setting('vis.org_id', true), '')::uuid"
    return [
        Fault("row security is off", "alter table vis.request_logs disable row level security", "row security is off or not forced on vis.request_logs", undo="alter table vis.request_logs enable row level security"),
        Fault("row security is not forced", "alter table vis.seals no force row level security", "row security is off or not forced on vis.seals", undo="alter table vis.seals force row level security"),
        Fault("row security is off on a partition", "alter table vis.request_logs_{month} disable row level security", "row security is off or not forced on vis.request_logs_{month}", undo="alter table vis.request_logs_{month} enable row level security"),
        Fault("row security is not forced on a partition", "alter table vis.request_logs_{month} no force row level security", "row security is off or not forced on vis.request_logs_{month}", undo="alter table vis.request_logs_{month} force row level security"),
        Fault("a policy for everything", "create policy x on vis.seals to vis_sealer using (true)", "policy x on vis.seals is for ALL"),
        Fault("a policy for updates", "create policy x on vis.seals for update to vis_writer using (true)", "policy x on vis.seals is for UPDATE"),
        Fault("a policy for deletions", "create policy x on vis.seals for delete to public using (false)", "policy x on vis.seals is for DELETE"),
        Fault("a policy on a partition", f"create policy x on vis.request_logs_{{month}} for select to vis_reader using ({scope})", "policy x on vis.request_logs_{month} is on a partition"),
        Fault("a policy that hides rows", "create policy x on vis.seals as restrictive for select to vis_auditor using (log <> 'secret')", "policy x on vis.seals hides rows (RESTRICTIVE)"),
        Fault("a policy that shows the reader everything", "create policy x on vis.request_logs for select to vis_reader using (true)", "policy x on vis.request_logs shows vis_reader more than its organisation"),
        Fault("a policy that shows everybody everything", "create policy x on vis.seals for select to public using (true)", "policy x on vis.seals shows vis_web more than its organisation", about="policy x on vis.seals shows"),
        Fault("a policy that was widened", "alter policy org_read on vis.seals using (true)", "policy org_read on vis.seals shows vis_reader more than its organisation", about="policy org_read on vis.seals shows", undo=f"alter policy org_read on vis.seals using ({scope})"),
        Fault("a policy that takes any organisation", "create policy x on vis.key_events for insert to vis_web with check (true)", "policy x on vis.key_events takes rows of any organisation from vis_web"),
        Fault("a policy that keeps rows from the auditor", "alter policy all_read on vis.seals using (log = 'request_logs')", "vis_auditor does not see every row of vis.seals", about="does not see every row of vis.seals", undo="alter policy all_read on vis.seals using (true)"),
        Fault("no policy for the sealer", "alter policy all_read on vis.request_logs to vis_auditor, vis_jobs", "vis_sealer does not see every row of vis.request_logs", undo="alter policy all_read on vis.request_logs to vis_auditor, vis_sealer, vis_jobs"),
    ]  # fmt: skip


def _ways_round() -> list[Fault]:
    definer = "create function {}.f() returns void language sql security definer as 'select'; alter function {}.f() owner to vis_owner"
    return [
        Fault("a function with the owner's rights", definer.format("vis", "vis") + "; revoke all on function vis.f() from public; grant execute on function vis.f() to vis_web", "vis_web may execute vis.f(), which runs as vis_owner", undo="drop function vis.f()"),
        Fault("a function with the owner's rights for everybody", definer.format("public", "public"), "vis_reader may execute public.f(), which runs as vis_owner", about="may execute public.f()", undo="drop function public.f()"),
        Fault("a view that can be updated", "create view vis.v as select * from vis.seals; grant update on vis.v to vis_web", "vis_web may UPDATE the view vis.v", undo="drop view vis.v"),
        Fault("a column of a view that can be updated", "create view vis.v as select * from vis.seals; grant update (root) on vis.v to vis_web", "vis_web may UPDATE the view vis.v", undo="drop view vis.v"),
        Fault("a view elsewhere that can be emptied", "create view public.v as select * from vis.request_logs; grant delete on public.v to vis_jobs", "vis_jobs may DELETE the view public.v", undo="drop view public.v cascade"),
        Fault("a view of a view that takes rows", "create view public.v as select * from vis.seals; create view public.w as select * from public.v; grant insert on public.w to vis_writer", "vis_writer may INSERT the view public.w", undo="drop view public.v cascade"),
        Fault("a view of a partition", "create view public.v as select * from vis.request_logs_{month}; grant delete on public.v to vis_jobs", "vis_jobs may DELETE the view public.v", undo="drop view public.v cascade"),
        Fault("a view that shows more than its organisation", "create view vis.v as select * from vis.seals; grant select on vis.v to vis_reader", "vis_reader may read vis.v, which shows audit rows with the rights of vis_super", undo="drop view vis.v"),
        Fault("a copy that shows more than its organisation", "create materialized view vis.v as select * from vis.seals; grant select on vis.v to vis_web", "vis_web may read vis.v, which shows audit rows with the rights of vis_super", undo="drop materialized view vis.v"),
        Fault("temporary tables", "grant temporary on database {name} to vis_writer", "vis_writer may make temporary tables", about="vis_writer"),
        Fault("temporary tables for everybody", "grant temporary on database {name} to public", "vis_sealer may make temporary tables", about="may make temporary tables|CREATE TEMP TABLE"),
        Fault("new schemas", "grant create on database {name} to vis_web", "vis_web may CREATE in the database"),
        *(Fault(f"new objects in {schema}", f"grant create on schema {schema} to vis_web", f"vis_web may CREATE in schema {schema}") for schema in ("vis", "vis_control", "public")),
    ]  # fmt: skip


def _settings() -> list[Fault]:
    preset = "session_replication_role=replica is preset for"
    return [
        Fault("triggers that a role may switch off", "grant set on parameter session_replication_role to vis_writer", "vis_writer may SET session_replication_role", undo="revoke set on parameter session_replication_role from vis_writer"),
        Fault("durability that a role may switch off", "grant alter system on parameter fsync to vis_jobs", "vis_jobs may ALTER SYSTEM fsync", undo="revoke alter system on parameter fsync from vis_jobs"),
        Fault("triggers off for a role", "alter role vis_writer set session_replication_role = replica", f"{preset} vis_writer in every database", undo="alter role vis_writer reset all"),
        Fault("triggers off for a role in this database", "alter role vis_writer in database {name} set session_replication_role = replica", f"{preset} vis_writer in this database", undo="alter role vis_writer in database {name} reset all"),
        Fault("triggers off in this database", "alter database {name} set session_replication_role = replica", f"{preset} every role in this database", about="session_replication_role", undo="alter database {name} reset all"),
        Fault("triggers off for everybody who connects", "alter database {name} set session_replication_role = replica", "session_replication_role is replica", about="session_replication_role", undo="alter database {name} reset all"),
        Fault("commits that do not wait, for a role", "alter role vis_writer set synchronous_commit = off", "synchronous_commit=off is preset for vis_writer in every database", undo="alter role vis_writer reset all"),
        Fault("commits that do not wait", "alter database {name} set synchronous_commit = off", "synchronous_commit is off", about="synchronous_commit", undo="alter database {name} reset all"),
        Fault("an organisation that is always chosen", "alter role vis_reader set vis.org_id = '018f0000-0000-7000-8000-000000000000'", "is preset for vis_reader in every database", undo="alter role vis_reader reset all"),
    ]  # fmt: skip


FAULTS = [*_tables(), *_rights(), *_roles(), *_guards(), *_sight(), *_ways_round(), *_settings()]
"""All of them."""

assert len({fault.name for fault in FAULTS}) == len(FAULTS)
