from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [forward("visionality.ledger.sql.migrations", "0001_pre_ledger.sql")]
