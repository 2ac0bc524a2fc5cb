from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [
        ("schema", "0012_pre_connectors"),
        ("correcting", "0001_pre_correcting"),
    ]
    operations = [forward("visionality.ledger.sql.migrations", "0013_pre_corrections.sql")]
