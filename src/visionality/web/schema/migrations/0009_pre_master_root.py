from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0008_pre_binding")]
    operations = [forward("visionality.ledger.sql.migrations", "0009_pre_master_root.sql")]
