from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0023_pre_controls")]
    operations = [forward("visionality.ledger.sql.migrations", "0025_pre_sums_of_more.sql")]
