-- A provider's own settings reach the gateway: an Azure deployment's model, a Bedrock region.
--
-- Why: what differs between providers is no column each. The view gets a column at its end, as views may.
-- What it locks: the view, for a moment. Old code: reads the columns that it knows.

create or replace view vis.providers_v1 as
select v.org_id, v.id as credential_id, v.provider, v.base_url, v.on_abort, v.sealed, o.generation, o.wrapped, o.id as kek_id,
       v.options
  from vis_control.provider_credential v
  join vis_control.organisation_key o on o.id = v.organisation_key_id and o.org_id = v.org_id
 where v.retired_at is null;
