import django.db.models.deletion
from django.db import migrations, models

import visionality.runtime.ids


class Migration(migrations.Migration):
    initial = True
    dependencies = [("accounts", "0004_pre_denied_projects")]

    operations = [
        migrations.CreateModel(
            name="IdempotencyKey",
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
                ("token_id", models.UUIDField()),
                ("key", models.CharField(max_length=200)),
                ("request_sha256", models.BinaryField(max_length=32)),
                ("made_at", models.DateTimeField()),
                ("organisation_key_id", models.UUIDField(null=True)),
                ("answer", models.BinaryField(null=True)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="accounts.organisation"
                    ),
                ),
            ],
            options={"db_table": "idempotency_key"},
        ),
        migrations.AddConstraint(
            model_name="idempotencykey",
            constraint=models.UniqueConstraint(
                fields=("org", "token_id", "key"), name="idempotency_key_once"
            ),
        ),
    ]
