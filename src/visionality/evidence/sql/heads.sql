-- Heads of logs and what proofs are made of, for psycopg. Run as a role that reads vis.seals.

-- name: newest
select seal_no, tree_size, root, note, sealed_at from vis.seals
 where org_id = %(org_id)s and log = %(log)s order by seal_no desc limit 1;

-- name: at_size
select seal_no, tree_size, root, note, sealed_at from vis.seals
 where org_id = %(org_id)s and log = %(log)s and first_index < %(size)s order by first_index desc limit 1;

-- name: up_to
-- The last seal that ends within a range, as the log stood then. At its very end the range may be merged into what is before it.
select tree_size, frontier from vis.seals
 where org_id = %(org_id)s and log = %(log)s and first_index < %(size)s and tree_size < %(size)s order by first_index desc limit 1;

-- name: leaves
-- The packed leaves of the seals that hold some of a range.
select first_index, leaf_hashes from vis.seals
 where org_id = %(org_id)s and log = %(log)s and first_index < %(end)s
   and first_index >= coalesce((select max(first_index) from vis.seals
                                 where org_id = %(org_id)s and log = %(log)s and first_index <= %(start)s), 0)
 order by first_index;

-- name: holding
-- The first seals after a moment whose packed ids have this one among them.
select first_index, row_ids from vis.seals
 where org_id = %(org_id)s and log = %(log)s and sealed_at >= %(since)s and position(uuid_send(%(row_id)s) in row_ids) > 0
 order by sealed_at, seal_no;
