from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0021_pre_evidence_packs")]
    operations = [forward("visionality.ledger.sql.migrations", "0022_pre_verifications.sql")]
