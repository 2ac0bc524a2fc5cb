import django.db.models.deletion
from django.db import migrations, models

import visionality.runtime.ids


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_pre_epochs_and_floor"), ("issuing", "0003_pre_claims")]

    operations = [
        migrations.CreateModel(
            name="ServiceToken",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=visionality.runtime.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("token_hmac", models.BinaryField(max_length=32, unique=True)),
                ("shown", models.CharField(max_length=40)),
                ("scopes", models.JSONField()),
                ("issued_by", models.CharField(max_length=200)),
                ("issued_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(null=True)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="accounts.organisation"
                    ),
                ),
            ],
            options={"db_table": "service_token"},
        ),
    ]
