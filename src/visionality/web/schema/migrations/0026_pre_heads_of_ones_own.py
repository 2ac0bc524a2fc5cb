from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0025_pre_sums_of_more")]
    operations = [forward("visionality.ledger.sql.migrations", "0026_pre_heads_of_ones_own.sql")]
