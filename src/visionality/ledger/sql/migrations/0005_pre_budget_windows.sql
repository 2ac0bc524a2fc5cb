-- Budgets in their periods, and the function that holds and spends their money.
--
-- Why: a cap must hold under any concurrency and over any number of gateways (B1). What a call may cost at most is held
-- in every window that applies, all or nothing, in the transaction that makes its hold; the transaction that writes
-- its row gives the hold back and spends the cost. What it locks: `budget_events`, for the moment of a new column.
-- Old code: goes on without windows.

-- One budget in one period, for one value of its scope. Operational state: the truth behind the counters are the
-- budget events and the rows. The row whose window is the budget itself is its anchor: windows to come take their cap
-- from it, and it takes no money. `position` is a Lamport clock: whatever moves a window locks it and takes the next
-- position of all that it touches, so what happened to a window has an order, whichever gateway did it.
create table vis.budget_windows (
  org_id uuid not null, window_id uuid not null, budget_id uuid not null, scope_value text not null,
  starts_at timestamptz not null, ends_at timestamptz not null, cap_nusd bigint not null check (cap_nusd >= 0), hard boolean not null,
  opening_nusd bigint not null default 0, spent_nusd bigint not null default 0, reserved_nusd bigint not null default 0,
  position bigint not null default 0, primary key (org_id, window_id))
  with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
create index budget_windows_budget on vis.budget_windows (org_id, budget_id);

alter table vis.budget_windows enable row level security;
create policy writer_all on vis.budget_windows to vis_writer using (true) with check (true);
create policy web_own on vis.budget_windows to vis_web using (org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
create policy org_read on vis.budget_windows for select to vis_reader using (org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
create policy all_read on vis.budget_windows for select to vis_jobs, vis_auditor using (true);
grant select, insert on vis.budget_windows to vis_writer, vis_web;
grant update (spent_nusd, reserved_nusd, position) on vis.budget_windows to vis_writer;
grant update (cap_nusd, hard, position) on vis.budget_windows to vis_web;
grant select on vis.budget_windows to vis_jobs, vis_reader, vis_auditor;

-- Who may see what is held: the pages and the proof.
alter table vis.budget_holds enable row level security;
create policy writer_all on vis.budget_holds to vis_writer using (true) with check (true);
create policy org_read on vis.budget_holds for select to vis_web, vis_reader using (org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
create policy all_read on vis.budget_holds for select to vis_jobs, vis_auditor using (true);
grant select on vis.budget_holds to vis_web, vis_reader, vis_auditor;

-- The order that the database gave; null for an event that touches no window. It is no part of the leaf, which is made before.
alter table vis.budget_events add column position bigint;

-- An event as the writer sends it. `want` is the place of the hold that it makes among those of the batch, and
-- `denied_leaf` the leaf that it has as a denial.
create type vis.event_v2 as (
  org_id uuid, created_at timestamptz, id uuid, writer_no int, wseq bigint, kind text, hold_id uuid, request_id uuid,
  windows uuid[], amount_nusd bigint, actual_nusd bigint, actor text, leaf_hash bytea, want int, denied_leaf bytea);

create type vis.moved_v1 as (refused int[], left_nusd bigint[], position bigint);

-- Moves the windows of a batch. Windows come once each, in the order of (org_id, window_id) in which all lock them;
-- `_held` and `_spent` is what is given back and what is charged in each, `_asked` what all wants together want of it. Want i is
-- for `_amount[i]` in the windows at `_at[_upto[i-1]+1 .. _upto[i]]`: in all of them or in none, first come, first served. The
-- witness is one event of a batch that claims no hold: when it is there already, the batch was committed by an earlier try
-- whose answer was lost, and nothing is moved twice. Where no denial was prepared for (`_may_refuse`), nothing happens and
-- VH003 says so. Says which window refused each want (0: none), and what is left in each window.
create function vis.move_budgets(
  _org uuid[], _window uuid[], _held bigint[], _spent bigint[], _asked bigint[], _may_refuse boolean,
  _amount bigint[], _upto int[], _at int[],
  _witness_org uuid, _witness_at timestamptz, _witness uuid)
returns vis.moved_v1 language plpgsql set search_path = pg_catalog as $$
declare
  moved vis.moved_v1;
  n int := cardinality(_window);
  lft bigint[] := array_fill(null::bigint, array[n]);       -- null: there is no such window, and it refuses
  hard boolean[] := array_fill(true, array[n]);
  added bigint[] := array_fill(0::bigint, array[n]);
  refused int[] := array_fill(0, array[cardinality(_amount)]);
  clock bigint := 0;
  fits boolean;
  lo int := 1; w record; p int;
begin
  if n = 0 then return moved; end if;
  for w in
    select k.i, b.cap_nusd, b.spent_nusd, b.reserved_nusd, b.hard, b.position
      from unnest(_org, _window) with ordinality k(org_id, window_id, i)
      join vis.budget_windows b on b.org_id = k.org_id and b.window_id = k.window_id
     order by k.i for update of b
  loop
    lft[w.i] := w.cap_nusd - w.spent_nusd - w.reserved_nusd + _held[w.i] - _spent[w.i];
    hard[w.i] := w.hard;
    clock := greatest(clock, w.position);
  end loop;
  if _witness is not null and exists (select from vis.budget_events e where e.org_id = _witness_org and e.created_at = _witness_at and e.id = _witness) then
    raise exception 'this batch was committed before' using errcode = 'VH002';
  end if;
  fits := true;
  for i in 1 .. n loop
    fits := fits and lft[i] is not null and (not hard[i] or lft[i] >= _asked[i]);
  end loop;
  if fits then                                               -- all of them together fit, so each does
    added := _asked;
    for i in 1 .. n loop lft[i] := lft[i] - _asked[i]; end loop;
  else
    for i in 1 .. cardinality(_amount) loop
      for j in lo .. _upto[i] loop
        p := _at[j];
        if lft[p] is null or (hard[p] and lft[p] < _amount[i]) then
          if not _may_refuse then
            raise exception 'a hold is refused, and its denial was not prepared' using errcode = 'VH003';
          end if;
          refused[i] := p; exit;
        end if;
      end loop;
      if refused[i] = 0 then
        for j in lo .. _upto[i] loop
          p := _at[j];
          lft[p] := lft[p] - _amount[i];
          added[p] := added[p] + _amount[i];
        end loop;
      end if;
      lo := _upto[i] + 1;
    end loop;
  end if;
  update vis.budget_windows b
     set reserved_nusd = b.reserved_nusd - u.held + u.added, spent_nusd = b.spent_nusd + u.spent, position = clock + 1
    from unnest(_org, _window, _held, _spent, added) u(org_id, window_id, held, spent, added)
   where b.org_id = u.org_id and b.window_id = u.window_id;
  moved.refused := refused; moved.left_nusd := lft; moved.position := clock + 1;
  return moved;
end $$;
revoke all on function vis.move_budgets(uuid[], uuid[], bigint[], bigint[], bigint[], boolean, bigint[], int[], int[], uuid, timestamptz, uuid) from public;
grant execute on function vis.move_budgets(uuid[], uuid[], bigint[], bigint[], bigint[], boolean, bigint[], int[], int[], uuid, timestamptz, uuid) to vis_writer;

-- A batch that makes holds must make all that no window refused, or none of it happened.
create function vis.all_made(wanted bigint, refused int[], made bigint) returns boolean language plpgsql set search_path = pg_catalog as $$
begin
  if made <> wanted - (select count(*) from unnest(refused) r where r > 0) then
    raise exception 'made % of % holds', made, wanted using errcode = 'VH004';
  end if;
  return true;
end $$;
revoke all on function vis.all_made(bigint, int[], bigint) from public;
grant execute on function vis.all_made(bigint, int[], bigint) to vis_writer;
