-- One step of the sealer, for psycopg as vis_sealer, in one transaction.

-- name: lead
-- The fence of the one who seals until the lease ends, or no row where somebody else does. Whoever comes meanwhile waits for
-- this transaction and then finds the lease taken.
insert into vis.seal_lease as l (holder, fence, expires_at, stepped_at)
values (%(holder)s, 1, now() + %(lease)s, %(now)s)
on conflict (one) do update
   set holder = excluded.holder, fence = l.fence + (l.holder <> excluded.holder)::int,
       expires_at = excluded.expires_at, stepped_at = excluded.stepped_at
 where l.holder = excluded.holder or l.expires_at <= now()
returning fence;

-- name: leave
update vis.seal_lease set expires_at = now() where holder = %(holder)s;

-- name: installation
select installation_id from vis.installation;

-- name: heads
-- How the logs that are to grow stand.
select w.org_id, w.log, s.seal_no, s.sealed_at, s.tree_size, s.root, s.frontier
  from unnest(%(orgs)s::uuid[], %(logs)s::text[]) w(org_id, log)
 cross join lateral (
   select seal_no, sealed_at, tree_size, root, frontier from vis.seals
    where org_id = w.org_id and log = w.log order by seal_no desc limit 1) s;

-- name: seal
insert into vis.seals (org_id, log, seal_no, sealed_at, first_index, tree_size, root, frontier, row_ids, leaf_hashes, cursors, key_id, note)
values (%(org_id)s, %(log)s, %(seal_no)s, %(sealed_at)s, %(first_index)s, %(tree_size)s, %(root)s, %(frontier)s, %(row_ids)s,
        %(leaf_hashes)s, %(cursors)s::jsonb, %(key_id)s, %(note)s);

-- name: move
insert into vis.seal_cursors (log, writer_no, wseq)
select %(log)s, * from unnest(%(writers)s::int[], %(upto)s::bigint[])
on conflict (log, writer_no) do update set wseq = excluded.wseq;
