from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0017_pre_api")]
    operations = [forward("visionality.ledger.sql.migrations", "0018_pre_privilege_checks.sql")]
