-- What a receipt is made of, for asyncpg. Run as vis_writer, on connections of their own.

-- name: call
-- What a call of a key, or of one of its tokens, was charged. Its id holds the moment when it came, which bounds the rows that are
-- looked at; the first that is found ends the search.
select org_id, id, request_id, created_at, project_id, currency, cost_nusd, billed_nusd, price_version, leaf_hash
  from vis.request_logs
 where org_id = $1 and request_id = $2 and entry = 'call' and key_id = $3 and ($4::text is null or spend_token_id = $4)
   and created_at >= $5 and created_at < $6
 order by created_at, id limit 1;

-- name: key
-- The key that signs an organisation's receipts now.
select k.key_id, s.sealed
  from vis.evidence_keys k join vis.evidence_key_secrets s on s.org_id = k.org_id and s.key_id = k.key_id
 where k.org_id = $1 and k.role = 'receipt' and k.verify_until is null and k.revoked_at is null;
