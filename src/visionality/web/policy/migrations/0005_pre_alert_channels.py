import django.db.models.deletion
from django.db import migrations, models

import visionality.runtime.ids


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_pre_time_zone"), ("policy", "0004_pre_budgets")]
    operations = [
        migrations.CreateModel(
            name="AlertChannel",
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
                ("kind", models.CharField(max_length=20)),
                ("target", models.CharField(max_length=400)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("retired_at", models.DateTimeField(null=True)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="accounts.organisation"
                    ),
                ),
            ],
            options={
                "db_table": "alert_channel",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("retired_at", None)),
                        fields=("org", "kind", "target"),
                        name="alert_channel_live",
                    )
                ],
            },
        ),
    ]
