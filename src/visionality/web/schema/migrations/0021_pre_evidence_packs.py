from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0020_pre_seals")]
    operations = [forward("visionality.ledger.sql.migrations", "0021_pre_evidence_packs.sql")]
